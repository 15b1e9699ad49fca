/* SPDX-License-Identifier: MIT */
/* flk healthcheck: find the programs to ask -> ask each for /readyz or /healthz -> 0 when all said 200.
 *
 * For HEALTHCHECK of an image and exec probes: it reads the same environment as the program beside it, so it needs to
 * be told nothing. A program that does not answer within the timeout is not healthy. */
#include <curl/curl.h>
#include <dirent.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/flk/cluster/daemon.h"
#include "agent/flk/cluster/probe.h"
#include "agent/flk/command.h"
#include "agent/flk/json_out.h"
#include "agent/flk/members.h"
#include "agent/flk/unit.h"

enum { TIMEOUT_MS = 2000, TIMEOUT_MS_MAX = 60000 };

static const char usage[] = "Usage: flk healthcheck [--alive] [--timeout MS] [--json] [gateway|broker|worker]\n\n"
                            "Asks a program that runs here whether it would take work now (/readyz); without a name, "
                            "every one that runs here.\n"
                            "Addresses come from the settings that the program itself has, or its unit (--unit); "
                            "beside flk up\nfrom what that runs.\n\n"
                            "  --alive       ask only whether it is alive (/healthz)\n"
                            "  --timeout MS  how long to wait for each answer, 1 to 60000 (2000)\n"
                            "  --json        one JSON document\n\n"
                            "Exit codes: 0 healthy, 1 not healthy or nothing runs here, 2 wrong setting or argument.\n";

typedef struct health {
    const char *path;
    unsigned timeout_ms;
    bool json, all_well;
    const flk_daemon_t *wanted; /* NULL = whatever runs here */
    json_t *answers;
} health_t;

static bool parse_timeout(const char *text, unsigned *timeout_ms) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    *timeout_ms = (unsigned)value;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && value >= 1 && value <= TIMEOUT_MS_MAX;
}

/* -1 to go on, or the exit status. */
static int parse(int argc, char **argv, health_t *health) {
    static const struct option known[] = {{"alive", no_argument, NULL, 'a'},
                                          {"timeout", required_argument, NULL, 't'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    *health = (health_t){.path = "/readyz", .timeout_ms = TIMEOUT_MS, .all_well = true};
    for (int option; (option = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        switch (option) {
        case 'a':
            health->path = "/healthz";
            break;
        case 't':
            if (!parse_timeout(optarg, &health->timeout_ms)) {
                fprintf(stderr, "flk: --timeout: '%s' is not a number from 1 to %d\n", optarg, TIMEOUT_MS_MAX);
                return FLK_EXIT_USAGE;
            }
            break;
        case 'j':
            health->json = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return FLK_EXIT_OK;
        default:
            return FLK_EXIT_USAGE;
        }
    }
    if (optind == argc && flk_unit_program()[0] != '\0') {
        health->wanted = flk_daemon_named(flk_unit_program());
    }
    if (optind < argc) {
        health->wanted = flk_daemon_named(argv[optind]);
        if (health->wanted == NULL || optind + 1 < argc) {
            fprintf(stderr, "flk: healthcheck: '%s' is not gateway, broker or worker; see flk healthcheck --help\n",
                    argv[argc - 1]);
            return FLK_EXIT_USAGE;
        }
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
        fprintf(stderr, "flk: healthcheck: %s\n", errmsg);
        return FLK_EXIT_USAGE;
    }
    if (json_array_size(health->answers) == 0) {
        fprintf(stderr, "flk: healthcheck: no flk-gateway, flk-broker or flk-worker runs here\n");
        health->all_well = false;
    }
    if (health->json) {
        flk_json_out(json_pack("{s:b, s:s, s:O}", "healthy", health->all_well, "page", health->path, "programs",
                               health->answers));
    }
    return health->all_well ? FLK_EXIT_OK : FLK_EXIT_FAILED;
}

int flk_command_healthcheck(int argc, char **argv) {
    health_t health;
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
