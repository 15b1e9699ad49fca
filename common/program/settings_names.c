/* SPDX-License-Identifier: MIT */
/* Kubernetes gives each container variables about each service of its namespace, in the form of Docker's links; a
 * release named flk has services flk-gateway and flk-broker, whose variables begin as our settings do:
 *
 *   FLK_GATEWAY_SERVICE_HOST=10.0.0.1          FLK_GATEWAY_PORT=tcp://10.0.0.1:8080
 *   FLK_GATEWAY_SERVICE_PORT=8080              FLK_GATEWAY_PORT_8080_TCP=tcp://10.0.0.1:8080
 *   FLK_GATEWAY_SERVICE_PORT_HTTP=8080         FLK_GATEWAY_PORT_8080_TCP_ADDR, _PORT, _PROTO
 *
 * They are passed over. A setting never looks like one of them (a test sees to that). */
#include "common/program/settings_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/program/nearest.h"
#include "common/program/settings_row.h"

enum { NAME_BYTES = 64 };

static const char file_suffix[] = "_FILE";

static const char *row_name(const void *list, size_t index) {
    (void)list;
    return index < FLK_SETTINGS_COUNT ? flk_setting_rows[index].name : NULL;
}

/* The name in "NAME=value", cut where it is longer than any of ours. */
static void copy_name(const char *entry, char name[NAME_BYTES]) {
    size_t len = strcspn(entry, "=");
    snprintf(name, NAME_BYTES, "%.*s", (int)(len < NAME_BYTES ? len : NAME_BYTES - 1), entry);
}

static bool is_known(const char *name) {
    for (size_t i = 0; i < FLK_SETTINGS_COUNT; i++) {
        size_t len = strlen(flk_setting_rows[i].name);
        if (strncmp(name, flk_setting_rows[i].name, len) == 0 &&
            (name[len] == '\0' || strcmp(name + len, file_suffix) == 0)) {
            return true;
        }
    }
    return false;
}

static bool is_ours(const char *entry) {
    return strncmp(entry, "FLK_", 4) == 0 || strncmp(entry, "PCS_", 4) == 0;
}

/* ---- variables of a platform ---- */

static bool ends_in(const char *text, const char *end) {
    size_t len = strlen(text), end_len = strlen(end);
    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

/* "_PORT_8080_TCP", and its suffixes. */
static bool has_port_of_link(const char *name) {
    static const char *const ends[] = {"", "_ADDR", "_PORT", "_PROTO"};
    static const char *const protocols[] = {"_TCP", "_UDP", "_SCTP"};
    for (const char *at = strstr(name, "_PORT_"); at != NULL; at = strstr(at + 1, "_PORT_")) {
        const char *number = at + strlen("_PORT_");
        const char *rest = number + strspn(number, "0123456789");
        for (size_t i = 0; rest != number && i < FLK_COUNT_OF(protocols) * FLK_COUNT_OF(ends); i++) {
            char whole[16];
            snprintf(whole, sizeof whole, "%s%s", protocols[i / FLK_COUNT_OF(ends)], ends[i % FLK_COUNT_OF(ends)]);
            if (strcmp(rest, whole) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool is_of_platform(const char *entry) {
    char name[NAME_BYTES];
    const char *equals = strchr(entry, '=');
    const char *value = equals != NULL ? equals + 1 : "";
    copy_name(entry, name);
    const char *service = strstr(name, "_SERVICE_PORT");
    return ends_in(name, "_SERVICE_HOST") ||
           (service != NULL && strchr("_", service[strlen("_SERVICE_PORT")]) != NULL) ||
           (ends_in(name, "_PORT") && strstr(value, "://") != NULL) || has_port_of_link(name);
}

size_t flk_settings_platform_names(const char **first) {
    size_t count = 0;
    *first = NULL;
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        if (is_ours(*entry) && is_of_platform(*entry)) {
            *first = *first != NULL ? *first : *entry;
            count++;
        }
    }
    return count;
}

/* ---- mistakes ---- */

flk_err_t flk_settings_check_names(char *errmsg) {
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        char name[NAME_BYTES];
        copy_name(*entry, name);
        if (!is_ours(name) || is_known(name) || is_of_platform(*entry)) {
            continue;
        }
        const char *nearest = flk_nearest(name, row_name, NULL);
        flk_errmsg(errmsg,
                   nearest != NULL ? "%s: no such setting; did you mean %s?" : "%s: no such setting; see --help", name,
                   nearest);
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

/* One letter too many, too few or another, or two swapped. */
static bool is_slip(const char *name, const char *meant) {
    size_t same = 0;
    while (name[same] != '\0' && name[same] == meant[same]) {
        same++;
    }
    const char *a = name + same, *b = meant + same;
    if (*a == '\0' && *b == '\0') {
        return false;
    }
    return (*a != '\0' && strcmp(a + 1, b) == 0) || (*b != '\0' && strcmp(a, b + 1) == 0) ||
           (*a != '\0' && *b != '\0' && strcmp(a + 1, b + 1) == 0) ||
           (*a != '\0' && *b != '\0' && a[0] == b[1] && a[1] == b[0] && strcmp(a + 2, b + 2) == 0);
}

/* METRICS_PASSWORD for METRICS_PASS; ENDPOINT alone is a word that others begin with as well. */
static bool is_longer(const char *name, const char *meant) {
    size_t len = strlen(meant);
    return strchr(meant, '_') != NULL && strncmp(name, meant, len) == 0 && name[len] != '\0';
}

/* The setting has no value of its own, and would be asked for one. */
static bool is_missed(const char *meant) {
    char file_name[NAME_BYTES + sizeof file_suffix];
    const char *backend = getenv("DEDUP_BACKEND");
    bool of_redis = strncmp(meant, "REDIS_", 6) == 0, of_postgres = strncmp(meant, "POSTGRES_", 9) == 0;
    snprintf(file_name, sizeof file_name, "%s%s", meant, file_suffix);
    if (getenv(meant) != NULL || getenv(file_name) != NULL) {
        return false;
    }
    return (!of_redis && !of_postgres) || (backend != NULL && strcmp(backend, of_redis ? "redis" : "postgres") == 0);
}

static bool means(const char *name, flk_program_t program, const flk_setting_row_t *row) {
    return (row->programs & program) != 0 && !is_ours(row->name) &&
           (is_slip(name, row->name) || is_longer(name, row->name)) && is_missed(row->name);
}

flk_err_t flk_settings_check_slips(flk_program_t program, char *errmsg) {
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        char name[NAME_BYTES];
        copy_name(*entry, name);
        bool others = !is_ours(name) && !is_known(name) && !is_of_platform(*entry);
        for (size_t i = 0; others && i < FLK_SETTINGS_COUNT; i++) {
            if (means(name, program, &flk_setting_rows[i])) {
                flk_errmsg(errmsg, "%s: no such setting; did you mean %s?", name, flk_setting_rows[i].name);
                return FLK_E_CONFIG;
            }
        }
    }
    return FLK_OK;
}
