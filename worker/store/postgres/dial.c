/* SPDX-License-Identifier: MIT */
/*   connect (libpq goes through the hosts until one takes writes)
 *   session settings, warning when a crash may lose commits
 *   schema: migrate or check
 *   prepare, pipeline mode
 *
 * The session keeps the planner to index lookups: a partition is empty when it is opened, and a plan made then, with
 * a scan or a hash, would be kept while it grows. */
#include "worker/store/postgres/dial.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "worker/store/postgres/error.h"
#include "worker/store/postgres/exchange.h"
#include "worker/store/postgres/schema.h"
#include "worker/store/postgres/session.h"

enum { PARAMS_MAX = 64, READS_MAX = 8 };
#define VALUE_BYTES_MAX "1024"
_Static_assert(FLK_STORE_VALUE_BYTES_MAX == 1024, "as in VALUE_BYTES_MAX");

struct flk_pg_target {
    atomic_uint references;
    PQconninfoOption *options;
    const char *keywords[PARAMS_MAX + 1], *values[PARAMS_MAX + 1]; /* for libpq, ended by NULL */
    bool auto_migrate;
    uint64_t statement_timeout_ms;
    char connect_timeout_s[24], user_timeout_ms[24];
    char name[256];
};

static const struct {
    const char *name, *sql;
} statements[] = {
    {FLK_PG_LOOKUP, "SELECT pcs_id, outcome FROM flk.outcomes WHERE pcs_id = ANY($1::bytea[]) AND expires_at > now()"},
    {FLK_PG_BEGIN, "BEGIN ISOLATION LEVEL READ COMMITTED"}, /* each statement its own snapshot: see postgres/schema.h */
    {FLK_PG_LOCK, "SELECT pg_advisory_xact_lock_shared(" FLK_PG_LOCKS ", " FLK_PG_LOCK_GENERATION ")"},
    /* In the order of ids, so that two batches never wait for each other. */
    {FLK_PG_PUT,
     "INSERT INTO flk.outcomes AS o (pcs_id, generation, outcome, expires_at)"
     " SELECT n.pcs_id, c.generation, n.outcome, now() + n.ttl_ms * interval '1 millisecond'"
     " FROM unnest($1::bytea[], $2::bytea[], $3::bigint[]) AS n (pcs_id, outcome, ttl_ms),"
     " (SELECT max(generation) AS generation FROM flk.generations) AS c"
     " WHERE NOT EXISTS (SELECT FROM flk.outcomes AS e WHERE e.pcs_id = n.pcs_id AND e.generation < c.generation"
     " AND e.expires_at > now())"
     " ORDER BY n.pcs_id"
     " ON CONFLICT (pcs_id, generation) DO UPDATE SET outcome = excluded.outcome, expires_at = excluded.expires_at"
     " WHERE o.expires_at <= now()"
     " RETURNING pcs_id"},
    {FLK_PG_EXPIRE, "UPDATE flk.outcomes AS o SET expires_at = 'epoch'"
                    " FROM unnest($1::bytea[], $2::bytea[]) AS s (pcs_id, outcome) WHERE o.pcs_id = s.pcs_id AND"
                    " (o.outcome = s.outcome OR octet_length(o.outcome) > " VALUE_BYTES_MAX ")"},
    {FLK_PG_COMMIT, "COMMIT"},
    {FLK_PG_ROLLBACK, "ROLLBACK"},
    {FLK_PG_PROBE, "UPDATE flk.meta SET probed_at = now()"},
    {FLK_PG_PAGE, "SELECT pcs_id, outcome, (extract(epoch FROM expires_at) * 1000)::bigint FROM flk.outcomes"
                  " WHERE pcs_id > $1::bytea AND expires_at > now() ORDER BY pcs_id LIMIT 1000"},
    {FLK_PG_MEASURE, "SELECT o.generation, count(*), max(pg_total_relation_size(o.tableoid)) FROM flk.outcomes AS o"
                     " GROUP BY o.generation ORDER BY o.generation"},
};

/* ---- target ---- */

static void add_param(flk_pg_target_t *target, const char *keyword, const char *value) {
    size_t i = 0;
    while (target->keywords[i] != NULL && strcmp(target->keywords[i], keyword) != 0) {
        i++;
    }
    FLK_ASSERT(i < PARAMS_MAX);
    target->keywords[i] = keyword;
    target->values[i] = value;
}

static const char *param(const flk_pg_target_t *target, const char *keyword) {
    for (size_t i = 0; target->keywords[i] != NULL; i++) {
        if (strcmp(target->keywords[i], keyword) == 0) {
            return target->values[i];
        }
    }
    return NULL;
}

static void set_params(flk_pg_target_t *target, const flk_store_options_t *options) {
    add_param(target, "application_name", "flk-worker"); /* parameters before POSTGRES_CONN may be changed by it */
    add_param(target, "keepalives_idle", "10");
    add_param(target, "keepalives_interval", "5");
    add_param(target, "keepalives_count", "3");
    for (const PQconninfoOption *option = target->options; option->keyword != NULL; option++) {
        if (option->val != NULL) {
            add_param(target, option->keyword, option->val);
        }
    }
    uint64_t connect_s = (options->connect_timeout_ms + 999) / 1000;
    snprintf(target->connect_timeout_s, sizeof target->connect_timeout_s, "%llu", (unsigned long long)connect_s);
    snprintf(target->user_timeout_ms, sizeof target->user_timeout_ms, "%llu", (unsigned long long)options->timeout_ms);
    add_param(target, "connect_timeout", target->connect_timeout_s);
    add_param(target, "tcp_user_timeout", target->user_timeout_ms);
    add_param(target, "target_session_attrs", "read-write");
    add_param(target, "client_encoding", "UTF8");
    const char *host = param(target, "host"), *port = param(target, "port"), *database = param(target, "dbname");
    snprintf(target->name, sizeof target->name, "%s%s%s/%s", host != NULL ? host : "local", port != NULL ? ":" : "",
             port != NULL ? port : "", database != NULL ? database : "");
}

flk_err_t flk_pg_target_new(const flk_store_options_t *options, flk_pg_target_t **out, char *errmsg) {
    char *complaint = NULL;
    if (options->pg_conn[0] == '\0') {
        flk_errmsg(errmsg, "POSTGRES_CONN is not set; e.g. host=db1 dbname=flk user=flk");
        return FLK_E_CONFIG;
    }
    flk_pg_target_t *target = calloc(1, sizeof *target);
    if (target == NULL) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    target->options = PQconninfoParse(options->pg_conn, &complaint);
    if (target->options == NULL) {
        PQfreemem(complaint); /* may quote a password */
        free(target);
        flk_errmsg(errmsg, "POSTGRES_CONN: neither \"keyword=value ...\" nor a postgresql:// URI as libpq reads them");
        return FLK_E_CONFIG;
    }
    atomic_init(&target->references, 1);
    target->auto_migrate = options->pg_auto_migrate;
    target->statement_timeout_ms = options->timeout_ms - options->timeout_ms / 5; /* its error comes in time */
    set_params(target, options);
    *out = target;
    return FLK_OK;
}

flk_pg_target_t *flk_pg_target_hold(flk_pg_target_t *target) {
    atomic_fetch_add(&target->references, 1);
    return target;
}

void flk_pg_target_release(void *arg) {
    flk_pg_target_t *target = arg;
    if (target != NULL && atomic_fetch_sub(&target->references, 1) == 1) {
        PQconninfoFree(target->options);
        free(target);
    }
}

const char *flk_pg_target_name(const flk_pg_target_t *target) {
    return target->name;
}

/* ---- session ---- */

static flk_err_t set_up_session(flk_pg_exchange_t *x, uint64_t statement_timeout_ms) {
    char sql[512];
    snprintf(
        sql, sizeof sql,
        "SET statement_timeout = %llu; SET idle_in_transaction_session_timeout = 10000; SET search_path = "
        "pg_catalog; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off; "
        "SET plan_cache_mode = force_generic_plan; SET client_min_messages = error",
        (unsigned long long)statement_timeout_ms);
    PGresult *result;
    flk_err_t err = flk_pg_command(x, sql, &result);
    PQclear(result);
    return err;
}

/* libpq's notices are not for stderr. */
static void ignore_notice(void *arg, const PGresult *result) {
    (void)arg;
    (void)result;
}

flk_err_t flk_pg_connect(const flk_pg_target_t *target, uint64_t timeout_ms, uint64_t statement_timeout_ms,
                         PGconn **out, flk_store_fault_t *fault, char *errmsg) {
    PGconn *pg = PQconnectdbParams(target->keywords, target->values, 0);
    if (pg == NULL) {
        flk_errmsg(errmsg, "%s: out of memory", target->name);
        return FLK_E_NOMEM;
    }
    flk_pg_exchange_t x = {.pg = pg, .deadline_ms = flk_mono_ms() + timeout_ms, .errmsg = errmsg};
    flk_err_t err = FLK_OK;
    PQsetNoticeReceiver(pg, ignore_notice, NULL);
    if (PQstatus(pg) != CONNECTION_OK || PQsetnonblocking(pg, 1) != 0) {
        err = flk_pg_connection_error(pg, &x.fault, errmsg);
    }
    err = err != FLK_OK ? err : set_up_session(&x, statement_timeout_ms);
    if (err != FLK_OK) {
        *fault = x.fault;
        flk_errmsg_prefix(errmsg, target->name);
        flk_pg_session_end(pg, timeout_ms);
        return err;
    }
    *out = pg;
    return FLK_OK;
}

/* ---- dialler ---- */

static flk_err_t warn_of_loss(flk_pg_exchange_t *x, const char *server) {
    static atomic_bool warned;
    PGresult *result;
    flk_err_t err = flk_pg_command(
        x, "SELECT current_setting('fsync') = 'off' OR current_setting('synchronous_commit') = 'off'", &result);
    bool careless = err == FLK_OK && PQntuples(result) == 1 && PQgetvalue(result, 0, 0)[0] == 't';
    PQclear(result);
    if (careless && !atomic_exchange(&warned, true)) {
        flk_log(FLK_LOG_WARN, "store_not_persistent", FLK_S("store", "postgres"), FLK_S("server", server),
                FLK_S("advice", "set fsync and synchronous_commit to on: without them a crash loses outcomes"));
    }
    return err;
}

static flk_err_t see_to_schema(flk_pg_exchange_t *x, const flk_pg_target_t *target) {
    int from = 0;
    if (!target->auto_migrate) {
        return flk_pg_schema_check(x);
    }
    flk_err_t err = flk_pg_schema_version(x, &from);
    if (err != FLK_OK || from == FLK_PG_SCHEMA_VERSION) {
        return err;
    }
    err = flk_pg_schema_migrate(x, &from);
    if (err == FLK_OK && from < FLK_PG_SCHEMA_VERSION) {
        flk_log(FLK_LOG_INFO, "store_migrated", FLK_S("store", "postgres"), FLK_S("server", target->name),
                FLK_I("from", from), FLK_I("to", FLK_PG_SCHEMA_VERSION));
    }
    return err;
}

static flk_err_t prepare(flk_pg_exchange_t *x) {
    flk_pg_call_t calls[FLK_COUNT_OF(statements)] = {0};
    for (size_t i = 0; i < FLK_COUNT_OF(statements); i++) {
        calls[i].statement = statements[i].name;
        calls[i].prepare = statements[i].sql;
    }
    flk_err_t err = flk_pg_pipeline(x, calls, FLK_COUNT_OF(calls));
    flk_pg_clear(calls, FLK_COUNT_OF(calls));
    return err;
}

static flk_err_t make_ready(flk_pg_exchange_t *x, const flk_pg_target_t *target) {
    flk_err_t err = warn_of_loss(x, target->name);
    err = err != FLK_OK ? err : see_to_schema(x, target);
    if (err == FLK_OK && PQenterPipelineMode(x->pg) == 0) {
        err = flk_pg_connection_error(x->pg, &x->fault, x->errmsg);
    }
    return err != FLK_OK ? err : prepare(x);
}

static flk_err_t pg_dial(void *arg, uint64_t timeout_ms, void **out, flk_store_fault_t *fault, char *errmsg) {
    const flk_pg_target_t *target = arg;
    PGconn *pg;
    flk_err_t err = flk_pg_connect(target, timeout_ms, target->statement_timeout_ms, &pg, fault, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    flk_pg_exchange_t x = {.pg = pg, .deadline_ms = flk_mono_ms() + timeout_ms, .errmsg = errmsg};
    err = make_ready(&x, target);
    if (err != FLK_OK) {
        flk_pg_session_end(pg, timeout_ms);
        *fault = x.fault;
        flk_errmsg_prefix(errmsg, target->name);
        return err == FLK_E_CONFIG ? FLK_E_UNAVAILABLE : err; /* a schema may be put right while we run */
    }
    *out = pg;
    return FLK_OK;
}

static void pg_hang_up(void *connection, uint64_t timeout_ms) {
    flk_pg_session_end(connection, timeout_ms);
}

/* A server that ends a session sends the reason and hangs up; its other messages are read and dropped. */
static bool pg_is_closed(void *connection) {
    struct pollfd polled = {.fd = PQsocket(connection), .events = POLLIN};
    for (int reads = 0; reads < READS_MAX && polled.fd >= 0 && poll(&polled, 1, 0) > 0; reads++) {
        if (PQconsumeInput(connection) == 0) {
            return true;
        }
        (void)PQisBusy(connection); /* reads the bytes that came */
        polled.fd = PQsocket(connection);
    }
    return PQstatus(connection) != CONNECTION_OK;
}

const flk_dialer_ops_t flk_pg_dial_ops = {
    .dial = pg_dial, .hang_up = pg_hang_up, .is_closed = pg_is_closed, .free_arg = flk_pg_target_release};
