/* SPDX-License-Identifier: MIT */
#include "worker/store/postgres/error.h"

#include <stdio.h>
#include <string.h>

#define POOLER_ADVICE "a pooler such as PgBouncer must keep sessions (pool_mode=session), or POSTGRES_CONN go past it"

/* SQLSTATE codes, or classes of two letters; the first that fits counts. PostgreSQL's manual, appendix A. */
static const struct {
    const char *code;
    flk_store_fault_t fault;
    bool lasting;
    const char *advice;
} kinds[] = {
    {"57014", FLK_FAULT_TIMEOUT, false, "it ran into the store timeout"},
    {"57P", FLK_FAULT_UNAVAILABLE, true,
     NULL}, /* shutting down, crashed, starting, session ended by an administrator */
    {"08", FLK_FAULT_UNAVAILABLE, true, NULL},
    {"53100", FLK_FAULT_NO_SPACE, false, "the server's disk is full"},
    {"53200", FLK_FAULT_NO_MEMORY, false, NULL},
    {"53", FLK_FAULT_UNAVAILABLE, true, NULL}, /* too many connections and the like */
    {"25006", FLK_FAULT_READ_ONLY, true, "the server takes no writes; is it a standby?"},
    {"28", FLK_FAULT_AUTH, true, "check user and password in POSTGRES_CONN"},
    {"42501", FLK_FAULT_AUTH, true, "the user lacks a privilege in schema flk"},
    {"3F000", FLK_FAULT_SCHEMA, true, "run flk-worker --migrate"},
    {"42P01", FLK_FAULT_SCHEMA, true, "run flk-worker --migrate"},
    {"42703", FLK_FAULT_SCHEMA, true, "run flk-worker --migrate"},
    {"42883", FLK_FAULT_SCHEMA, true, "run flk-worker --migrate"},
    {"26000", FLK_FAULT_OTHER, true, "a prepared statement is gone: " POOLER_ADVICE},
    {"42P05", FLK_FAULT_OTHER, true, "another session's prepared statement is there: " POOLER_ADVICE},
    {"58030", FLK_FAULT_IO, false, NULL},
    {"XX001", FLK_FAULT_CORRUPT, false, "the server's data is damaged"},
    {"XX002", FLK_FAULT_CORRUPT, false, "the server's index is damaged"},
};

flk_err_t flk_pg_result_error(const PGresult *result, flk_store_fault_t *fault, bool *lasting, char *errmsg) {
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    code = code != NULL ? code : "";
    *fault = FLK_FAULT_OTHER;
    *lasting = code[0] == '\0'; /* libpq's own: the connection is gone */
    const char *advice = NULL;
    for (size_t i = 0; i < FLK_COUNT_OF(kinds); i++) {
        if (strncmp(code, kinds[i].code, strlen(kinds[i].code)) == 0) {
            *fault = kinds[i].fault;
            *lasting = kinds[i].lasting;
            advice = kinds[i].advice;
            break;
        }
    }
    if (code[0] == '\0') {
        *fault = FLK_FAULT_UNAVAILABLE;
    }
    flk_errmsg(errmsg, "%s%s%s%s%s%s", text != NULL ? text : "the connection is lost", code[0] != '\0' ? " [" : "",
               code, code[0] != '\0' ? "]" : "", advice != NULL ? ": " : "", advice != NULL ? advice : "");
    return *fault == FLK_FAULT_CORRUPT ? FLK_E_CORRUPT : FLK_E_UNAVAILABLE;
}

/* libpq gives no SQLSTATE before a connection stands, only words. */
static flk_store_fault_t fault_of_words(const PGconn *pg, const char *text) {
    if (PQconnectionNeedsPassword(pg) || strstr(text, "authentication failed") != NULL ||
        strstr(text, "role \"") != NULL || strstr(text, "pg_hba.conf") != NULL) {
        return FLK_FAULT_AUTH;
    }
    if (strstr(text, "read-only") != NULL || strstr(text, "recovery") != NULL || strstr(text, "standby") != NULL) {
        return FLK_FAULT_READ_ONLY;
    }
    if (strstr(text, "database \"") != NULL) {
        return FLK_FAULT_SCHEMA;
    }
    return strstr(text, "timeout expired") != NULL ? FLK_FAULT_TIMEOUT : FLK_FAULT_UNAVAILABLE;
}

flk_err_t flk_pg_connection_error(const PGconn *pg, flk_store_fault_t *fault, char *errmsg) {
    const char *text = PQerrorMessage(pg);
    *fault = fault_of_words(pg, text);
    /* Of a list of servers the last one, which has the last line; explanations below a line begin with a tab. */
    const char *line = text;
    for (const char *at = text; *at != '\0'; at += *at == '\n') {
        line = *at != '\t' ? at : line;
        at += strcspn(at, "\n");
    }
    flk_errmsg(errmsg, "%.*s", (int)strcspn(line, "\n"), line);
    return FLK_E_UNAVAILABLE;
}
