/* SPDX-License-Identifier: MIT */
/* flk healthcheck: find the programs to ask -> ask each for /readyz or /healthz -> 0 when all said 200.
 *
 * For HEALTHCHECK of an image and exec probes: it reads the same environment as the program beside it, so it needs to
 * be told nothing. A program that does not answer within the timeout is not healthy. */
#include <curl/curl.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/flk/cluster/daemon.h"
#include "agent/flk/cluster/probe.h"
#include "agent/flk/command.h"
#include "agent/flk/json_out.h"
#include "agent/flk/members.h"
#include "agent/flk/unit.h"
#include "common/program/options.h"

enum { TIMEOUT_MS = 2000, TIMEOUT_MS_MAX = 60000 };

typedef struct health {
    const char *path;
    unsigned timeout_ms;
    bool json, all_well;
    const flk_daemon_t *wanted; /* NULL = all that run here */
    json_t *answers;
} health_t;

/* id, name, argument (NULL: none), limits, default, help */
#define OPTIONS(X)                                                                                                     \
    X(ALIVE, "alive", NULL, "", "", "ask only whether it is alive (/healthz)")                                         \
    X(TIMEOUT, "timeout", "MS", "1 to 60000", "2000", "how long to wait for each answer")                              \
    X(JSON, "json", NULL, "", "", "one JSON document")

enum option_id { OPTIONS(FLK_OPTION_ID) };
static const flk_option_t rows[] = {OPTIONS(FLK_OPTION_ROW)};
FLK_COMMAND_LINE("flk healthcheck");

static void print_help(void) {
    printf("Usage: flk healthcheck [OPTION...] [gateway|broker|worker|follow]\n\n"
           "Asks a program that runs here whether it would take work now (/readyz); without a\n"
           "name, every one that runs here. Addresses come from the settings that the program\n"
           "itself has, or its unit (--unit); beside flk up from its cluster.\n\n");
    flk_options_print(&command_line, 0, stdout);
    printf("\nExit codes: 0 healthy, 1 not healthy or nothing runs here, 2 wrong setting or\n"
           "argument.\n");
}

static bool take_option(void *arg, size_t row, char *value) {
    health_t *health = arg;
    uint64_t number;
    bool good = true;
    switch ((enum option_id)row) {
    case OPTION_ALIVE:
        health->path = "/healthz";
        return true;
    case OPTION_TIMEOUT:
        good = flk_option_uint(value, 1, TIMEOUT_MS_MAX, &number);
        health->timeout_ms = (unsigned)number;
        return good;
    case OPTION_JSON:
        return health->json = true;
    }
    FLK_ASSERT(false); /* every option has a case */
}

/* -1 to go on, or the exit status. */
static int parse(int argc, char **argv, health_t *health) {
    char **rest;
    uint64_t given;
    int status = flk_options_parse(&command_line, argc, argv, health, &given, &rest);
    if (status >= 0) {
        return status;
    }
    const char *name = rest[0] != NULL ? rest[0] : flk_unit_program();
    health->wanted = flk_daemon_named(name);
    if ((name[0] != '\0' && health->wanted == NULL) || (rest[0] != NULL && rest[1] != NULL)) {
        return flk_options_wrong(&command_line, "'%s' is not gateway, broker, worker or follow",
                                 health->wanted == NULL ? name : rest[1]);
    }
    return -1;
}

/* Whether a process of that program is in our /proc, that is, in our container. */
static bool runs_here(const flk_daemon_t *daemon) {
    DIR *proc = opendir("/proc");
    bool found = false;
    for (struct dirent *entry; !found && proc != NULL && (entry = readdir(proc)) != NULL;) {
        char path[sizeof entry->d_name + 16], name[32] = "";
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9') {
            continue;
        }
        snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
        FILE *comm = fopen(path, "re");
        if (comm != NULL) {
            found = fgets(name, sizeof name, comm) != NULL && strncmp(name, "flk-", 4) == 0 &&
                    strcspn(name + 4, "\n") == strlen(daemon->name) &&
                    strncmp(name + 4, daemon->name, strlen(daemon->name)) == 0;
            fclose(comm);
        }
    }
    if (proc != NULL) {
        closedir(proc);
    }
    return found;
}

static void tell(health_t *health, const flk_daemon_t *daemon, const char *address, long status, const char *reason) {
    bool well = status == 200;
    health->all_well &= well;
    json_array_append_new(health->answers,
                          json_pack("{s:s, s:s, s:b, s:I, s:s}", "program", daemon->name, "address", address, "healthy",
                                    well, "status", (json_int_t)status, "reason", reason));
    if (!health->json) {
        fprintf(well ? stdout : stderr, "flk-%s at %s: %s%s%s\n", daemon->name, address,
                well ? "healthy" : "not healthy", well || reason[0] == '\0' ? "" : ": ", well ? "" : reason);
    }
}

static flk_err_t ask(health_t *health, const flk_daemon_t *daemon, const char *address, char *errmsg) {
    flk_probe_t page;
    flk_err_t err = flk_probe_get(address, health->path, "", "", health->timeout_ms, &page);
    if (err != FLK_OK) {
        flk_errmsg(errmsg, "%s", flk_err_text(err));
        return err;
    }
    char reason[FLK_ERRMSG_BYTES];
    flk_probe_reason(&page, reason);
    tell(health, daemon, address, page.status, reason);
    flk_probe_fini(&page);
    return FLK_OK;
}

/* Every process of the cluster that flk up runs here. */
static flk_err_t ask_cluster(health_t *health, const flk_cluster_view_t *cluster, char *errmsg) {
    flk_err_t err = FLK_OK;
    for (size_t i = 0; i < cluster->members_len && err == FLK_OK; i++) {
        const flk_cluster_member_t *member = &cluster->members[i];
        const flk_daemon_t *daemon = flk_daemon_named(member->program);
        if (daemon != NULL && (health->wanted == NULL || health->wanted == daemon)) {
            err = ask(health, daemon, member->address, errmsg);
        }
    }
    return err;
}

/* Every program whose address the settings have: the wanted one, or those that run here. */
static flk_err_t ask_settings(health_t *health, char *errmsg) {
    char address[FLK_DAEMON_ADDRESS_BYTES];
    flk_err_t err = FLK_OK;
    for (size_t i = 0; i < FLK_DAEMONS && err == FLK_OK; i++) {
        const flk_daemon_t *daemon = &flk_daemons[i];
        if (health->wanted != NULL ? health->wanted != daemon : !runs_here(daemon)) {
            continue;
        }
        err = flk_daemon_address(daemon, address, errmsg);
        err = err == FLK_OK ? ask(health, daemon, address, errmsg) : err;
    }
    return err;
}

static int check(health_t *health) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_cluster_view_t *cluster = flk_start_alloc(sizeof *cluster);
    bool local = flk_unit_program()[0] == '\0' && flk_members_local(cluster);
    flk_err_t err = local ? ask_cluster(health, cluster, errmsg) : ask_settings(health, errmsg);
    free(cluster);
    if (err != FLK_OK) {
        fprintf(stderr, "flk healthcheck: %s\n", errmsg);
        return FLK_EXIT_USAGE;
    }
    if (json_array_size(health->answers) == 0) {
        fprintf(stderr, "flk healthcheck: no daemon of flk runs here\n");
        health->all_well = false;
    }
    if (health->json) {
        flk_json_out(json_pack("{s:b, s:s, s:O}", "healthy", health->all_well, "page", health->path, "programs",
                               health->answers));
    }
    return health->all_well ? FLK_EXIT_OK : FLK_EXIT_FAILED;
}

int flk_command_healthcheck(int argc, char **argv) {
    health_t health = {.path = "/readyz", .timeout_ms = TIMEOUT_MS, .all_well = true};
    int status = parse(argc, argv, &health);
    if (status >= 0) {
        return status;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    health.answers = json_array();
    status = check(&health);
    json_decref(health.answers);
    curl_global_cleanup();
    return status;
}
