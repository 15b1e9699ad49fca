/* SPDX-License-Identifier: MIT */
#include "worker/store/redis/error.h"

#include <string.h>

/* Redis marks the kind of an error by its first word. */
static const struct {
    const char *word;
    flk_store_fault_t fault;
    bool lasting;
    const char *advice;
} kinds[] = {
    {"OOM", FLK_FAULT_NO_MEMORY, false, "raise its maxmemory"},
    {"MISCONF", FLK_FAULT_NO_SPACE, false, "it cannot write to its disk"},
    {"READONLY", FLK_FAULT_READ_ONLY, true, "it is a replica; REDIS_ADDR must name the primary"},
    {"NOREPLICAS", FLK_FAULT_READ_ONLY, false, "it wants more replicas before it writes"},
    {"NOAUTH", FLK_FAULT_AUTH, true, "set FLK_REDIS_PASSWORD"},
    {"WRONGPASS", FLK_FAULT_AUTH, true, "check FLK_REDIS_USER and FLK_REDIS_PASSWORD"},
    {"NOPERM", FLK_FAULT_AUTH, false, "the user needs GET, SET, EVAL, SCAN, PTTL, DBSIZE and INFO on flk:*"},
    {"LOADING", FLK_FAULT_UNAVAILABLE, true, "it reads its data after a start"},
    {"MASTERDOWN", FLK_FAULT_UNAVAILABLE, true, "it is a replica without its primary"},
    {"MOVED", FLK_FAULT_OTHER, true, "Redis Cluster is not supported: list the shards in REDIS_ADDR"},
    {"CLUSTERDOWN", FLK_FAULT_OTHER, true, "Redis Cluster is not supported: list the shards in REDIS_ADDR"},
    {"WRONGTYPE", FLK_FAULT_CORRUPT, false, "somebody else uses keys that begin with flk:"},
};

flk_err_t flk_redis_error(const char *server, const char *text, flk_store_fault_t *fault, bool *lasting, char *errmsg) {
    size_t word_bytes = strcspn(text, " ");
    for (size_t i = 0; i < FLK_COUNT_OF(kinds); i++) {
        if (strlen(kinds[i].word) == word_bytes && memcmp(kinds[i].word, text, word_bytes) == 0) {
            *fault = kinds[i].fault;
            *lasting = kinds[i].lasting;
            flk_errmsg(errmsg, "%s: %s (%s)", server, text, kinds[i].advice);
            return *fault == FLK_FAULT_CORRUPT ? FLK_E_CORRUPT : FLK_E_UNAVAILABLE;
        }
    }
    /* Before it has users, Redis tells a wrong password with the plain word ERR. */
    *fault = strstr(text, "password") != NULL || strstr(text, "AUTH") != NULL ? FLK_FAULT_AUTH : FLK_FAULT_OTHER;
    *lasting = *fault == FLK_FAULT_AUTH;
    flk_errmsg(errmsg, "%s: %s", server, text);
    return FLK_E_UNAVAILABLE;
}
