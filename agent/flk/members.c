/* SPDX-License-Identifier: MIT */
#include "agent/flk/members.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/flk/unit.h"

enum { PID_UNKNOWN = -1, HOST_BYTES = 256 };

static flk_cluster_member_t *add_member(flk_cluster_view_t *view, const flk_daemon_t *daemon) {
    if (view->members_len == FLK_COUNT_OF(view->members)) {
        return NULL;
    }
    flk_cluster_member_t *member = &view->members[view->members_len++];
    *member = (flk_cluster_member_t){.pid = PID_UNKNOWN};
    snprintf(member->program, sizeof member->program, "%s", daemon->name);
    snprintf(member->name, sizeof member->name, "%s", daemon->name);
    return member;
}

/* METRICS_USER and METRICS_PASS of the environment as it is now. */
static flk_err_t read_access(flk_members_t *members, char *errmsg) {
    flk_settings_t *settings;
    flk_err_t err = flk_settings_load(FLK_PROGRAM_FLK, &settings, errmsg);
    if (err == FLK_OK) {
        snprintf(members->user, sizeof members->user, "%s", flk_settings_str(settings, FLK_SET_METRICS_USER));
        snprintf(members->pass, sizeof members->pass, "%s", flk_settings_str(settings, FLK_SET_METRICS_PASS));
        flk_settings_destroy(&settings);
    }
    return err;
}

/* ---- addresses ---- */

/* Splits the user's address into "http://" or "https://", host and port; a port that is not there is the program's
 * usual one. */
static bool split_place(const flk_members_place_t *place, const char **scheme, char host[HOST_BYTES], char port[8]) {
    const char *at = place->address;
    *scheme = strncmp(at, "https://", 8) == 0 ? "https://" : "";
    at += strncmp(at, "https://", 8) == 0 ? 8 : strncmp(at, "http://", 7) == 0 ? 7 : 0;
    size_t len = strcspn(at, "/");
    const char *bracket = memrchr(at, ']', len), *colon = memrchr(at, ':', len);
    bool has_port = colon != NULL && (bracket == NULL || colon > bracket);
    size_t host_len = has_port ? (size_t)(colon - at) : len;
    bool in_brackets = host_len > 2 && at[0] == '[' && at[host_len - 1] == ']';
    int host_bytes = snprintf(host, HOST_BYTES, "%.*s", (int)(host_len - 2 * in_brackets), at + in_brackets);
    int port_bytes = has_port ? snprintf(port, 8, "%.*s", (int)(len - host_len - 1), colon + 1)
                              : snprintf(port, 8, "%u", **scheme != '\0' ? 443 : place->daemon->port);
    return (at[0] == '[') == in_brackets && host_bytes > 0 && host_bytes < HOST_BYTES && port_bytes > 0 &&
           port_bytes < 6 && strspn(port, "0123456789") == strlen(port) && strtoul(port, NULL, 10) <= UINT16_MAX;
}

static void give_address(flk_cluster_member_t *member, const char *scheme, const char *host, const char *port) {
    bool v6 = strchr(host, ':') != NULL;
    snprintf(member->address, sizeof member->address, "%s%s%.200s%s:%s", scheme, v6 ? "[" : "", host, v6 ? "]" : "",
             port);
}

/* A member for each address of the family that `found` begins with, when there is more than one. */
static size_t add_addresses(flk_cluster_view_t *view, const flk_members_place_t *place, const struct addrinfo *found,
                            const char *port) {
    char host[INET6_ADDRSTRLEN];
    size_t count = 0;
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        count += at->ai_family == found->ai_family;
    }
    for (const struct addrinfo *at = found; count > 1 && at != NULL; at = at->ai_next) {
        flk_cluster_member_t *member = at->ai_family == found->ai_family ? add_member(view, place->daemon) : NULL;
        if (member != NULL &&
            getnameinfo(at->ai_addr, at->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST) == 0) {
            give_address(member, "", host, port);
        }
    }
    return count > 1 ? count : 0;
}

static flk_err_t add_place(flk_cluster_view_t *view, const flk_members_place_t *place, char *errmsg) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    const char *scheme;
    char host[HOST_BYTES], port[8];
    if (!split_place(place, &scheme, host, port)) {
        flk_errmsg(errmsg, "--%s: '%.160s' is no address, as %s:%u", place->daemon->name, place->address,
                   place->daemon->name, place->daemon->port);
        return FLK_E_CONFIG;
    }
    int status = getaddrinfo(host, NULL, &hints, &found);
    if (status != 0) {
        flk_errmsg(errmsg, "--%s: %.160s: %s", place->daemon->name, host, gai_strerror(status));
        return FLK_E_NOT_FOUND;
    }
    if (scheme[0] != '\0' || add_addresses(view, place, found, port) == 0) {
        flk_cluster_member_t *member = add_member(view, place->daemon);
        if (member != NULL) {
            give_address(member, scheme, host, port); /* by its name: a certificate or a proxy may want it */
        }
    }
    freeaddrinfo(found);
    return FLK_OK;
}

/* "worker-1", "worker-2" where there are several. */
static void number_members(flk_cluster_view_t *view) {
    for (size_t d = 0; d < FLK_DAEMONS; d++) {
        size_t count = 0, number = 0;
        for (size_t i = 0; i < view->members_len; i++) {
            count += strcmp(view->members[i].program, flk_daemons[d].name) == 0;
        }
        for (size_t i = 0; count > 1 && i < view->members_len; i++) {
            flk_cluster_member_t *member = &view->members[i];
            if (strcmp(member->program, flk_daemons[d].name) == 0) {
                snprintf(member->name, sizeof member->name, "%.12s-%zu", member->program, ++number);
            }
        }
    }
}

static flk_err_t find_places(const flk_members_options_t *options, flk_members_t *members, char *errmsg) {
    flk_err_t err = read_access(members, errmsg);
    for (size_t i = 0; i < options->places_len && err == FLK_OK; i++) {
        err = add_place(&members->view, &options->places[i], errmsg);
    }
    number_members(&members->view);
    snprintf(members->source, sizeof members->source, "at %zu address%s", members->view.members_len,
             members->view.members_len == 1 ? "" : "es");
    return err;
}

/* ---- units ---- */

static flk_err_t add_unit(flk_members_t *members, const char *name, char *errmsg) {
    flk_err_t err = flk_unit_enter(name, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    const flk_daemon_t *daemon = flk_daemon_named(flk_unit_program());
    flk_cluster_member_t *member = daemon != NULL ? add_member(&members->view, daemon) : NULL;
    if (member == NULL) {
        return FLK_OK;
    }
    snprintf(member->name, sizeof member->name, "%.23s", strncmp(name, "flk-", 4) == 0 ? name + 4 : name);
    err = flk_daemon_address(daemon, member->address, errmsg);
    return err == FLK_OK ? read_access(members, errmsg) : err;
}

static flk_err_t find_units(flk_members_t *members, char *errmsg) {
    char(*names)[FLK_UNIT_NAME_BYTES] = flk_start_alloc(FLK_UNITS_MAX * sizeof *names);
    size_t len = flk_unit_list(names);
    flk_err_t err = FLK_OK;
    for (size_t i = 0; i < len && err == FLK_OK; i++) {
        err = add_unit(members, names[i], errmsg);
    }
    if (len == 0) {
        flk_errmsg(errmsg, "no target of this host wants units of flk; systemctl enable flk.target");
        err = FLK_E_NOT_FOUND;
    }
    snprintf(members->source, sizeof members->source, "of %zu units", len);
    free(names);
    return err;
}

static bool has_units(void) {
    char(*names)[FLK_UNIT_NAME_BYTES] = flk_start_alloc(FLK_UNITS_MAX * sizeof *names);
    bool some = flk_unit_list(names) > 0;
    free(names);
    return some;
}

/* ---- flk up ---- */

static flk_err_t find_cluster(const flk_members_options_t *options, flk_members_t *members, char *errmsg) {
    flk_settings_t *settings;
    flk_err_t err = flk_settings_load(FLK_PROGRAM_FLK, &settings, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    const char *dir = options->data_dir != NULL ? options->data_dir : flk_settings_str(settings, FLK_SET_DATA_DIR);
    snprintf(members->source, sizeof members->source, "in %.4000s", dir);
    err = flk_cluster_file_read(dir, &members->view, errmsg);
    flk_settings_destroy(&settings);
    return err == FLK_OK ? read_access(members, errmsg) : err;
}

flk_err_t flk_members_find(const flk_members_options_t *options, flk_members_t *members, char *errmsg) {
    *members = (flk_members_t){0};
    if (options->places_len > 0) {
        return find_places(options, members, errmsg);
    }
    if (options->units) {
        return find_units(members, errmsg);
    }
    if (flk_unit_program()[0] != '\0') {
        snprintf(members->source, sizeof members->source, "of one unit");
        return add_unit(members, flk_unit_name(), errmsg);
    }
    flk_err_t err = find_cluster(options, members, errmsg);
    bool named = options->data_dir != NULL || getenv("FLK_DATA_DIR") != NULL || getenv("FLK_DATA_DIR_FILE") != NULL;
    return err == FLK_E_NOT_FOUND && !named && has_units() ? find_units(members, errmsg) : err;
}

bool flk_members_local(flk_cluster_view_t *view) {
    flk_settings_t *settings;
    if (flk_settings_load(FLK_PROGRAM_FLK, &settings, NULL) != FLK_OK) {
        return false;
    }
    flk_err_t err = flk_cluster_file_read(flk_settings_str(settings, FLK_SET_DATA_DIR), view, NULL);
    flk_settings_destroy(&settings);
    return err == FLK_OK && view->pid > 0 && (kill((pid_t)view->pid, 0) == 0 || errno == EPERM);
}
