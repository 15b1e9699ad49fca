/* SPDX-License-Identifier: MIT */
/* flk keygen: a pair of CURVE keys as files, where the programs look for them. Never prints a secret, never overwrites.
 */
#include <getopt.h>
#include <stdio.h>

#include "agent/flk/cluster/keypair.h"
#include "agent/flk/command.h"
#include "agent/flk/json_out.h"
#include "common/settings.h"

static const char usage[] =
    "Usage: flk keygen [--role ROLE] [--dir DIR] [--json] NAME\n\n"
    "Makes a key pair for the ZeroMQ links of one process, or of all that share it:\n\n"
    "  DIR/NAME.key        the secret key (mode 0600): what FLK_CURVE_KEY_FILE of that process names\n"
    "  DIR/ROLES/NAME.pub  the public key: copy it to wherever it is let in; without --role DIR/NAME.pub\n\n"
    "  --role ROLE  broker, gateway, worker, agent or admin\n"
    "  --dir DIR    what FLK_CURVE_DIR of the processes names; default that variable's value, else the current\n"
    "               directory\n"
    "  --json       the paths and the public key as one JSON document\n\n"
    "A key that exists is never overwritten. Exit codes: 0 done, 1 failed, 2 wrong argument.\n";

typedef struct keygen {
    const char *dir, *name;
    bool json;
    flk_role_t role; /* FLK_ROLE_NONE: not said */
} keygen_t;

/* -1 to go on, or the exit status. */
static int parse(int argc, char **argv, keygen_t *keygen) {
    static const struct option known[] = {{"role", required_argument, NULL, 'r'},
                                          {"dir", required_argument, NULL, 'd'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    int option;
    while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        switch (option) {
        case 'r':
            if (!flk_role_parse(optarg, &keygen->role)) {
                fprintf(stderr, "flk: --role: '%s' is not broker, gateway, worker, agent or admin\n", optarg);
                return FLK_EXIT_USAGE;
            }
            break;
        case 'd':
            keygen->dir = optarg;
            break;
        case 'j':
            keygen->json = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return FLK_EXIT_OK;
        default:
            return FLK_EXIT_USAGE;
        }
    }
    if (optind + 1 != argc || !flk_curve_name_valid(argv[optind])) {
        fprintf(stderr, optind + 1 != argc ? "flk: keygen: give one NAME; see flk keygen --help\n"
                                           : "flk: keygen: a NAME has 1 to 64 of A-Z a-z 0-9 . _ - and begins with a "
                                             "letter or digit\n");
        return FLK_EXIT_USAGE;
    }
    keygen->name = argv[optind];
    return -1;
}

static flk_err_t make(const keygen_t *keygen, char *errmsg) {
    flk_keypair_t pair;
    flk_err_t err = flk_keypair_make(keygen->dir, keygen->role, keygen->name, &pair, errmsg);
    if (err == FLK_OK && keygen->json) {
        flk_json_out(json_pack("{s:s, s:s, s:s}", "secret_key_file", pair.secret_path, "public_key_file",
                               pair.public_path, "public_key", pair.public_key));
    } else if (err == FLK_OK) {
        printf("secret key  %s\npublic key  %s  %s\n", pair.secret_path, pair.public_path, pair.public_key);
    }
    return err;
}

int flk_command_keygen(int argc, char **argv) {
    keygen_t keygen = {.role = FLK_ROLE_NONE};
    char errmsg[FLK_ERRMSG_BYTES];
    int status = parse(argc, argv, &keygen);
    if (status >= 0) {
        return status;
    }
    flk_settings_t *settings;
    if (flk_settings_load(FLK_PROGRAM_FLK, &settings, errmsg) != FLK_OK) {
        fprintf(stderr, "flk: %s\n", errmsg);
        return FLK_EXIT_USAGE;
    }
    if (keygen.dir == NULL) {
        const char *dir = flk_settings_str(settings, FLK_SET_CURVE_DIR);
        keygen.dir = dir[0] != '\0' ? dir : ".";
    }
    flk_err_t err = make(&keygen, errmsg);
    flk_settings_destroy(&settings);
    if (err != FLK_OK) {
        fprintf(stderr, "flk: keygen: %s\n", errmsg);
        return FLK_EXIT_FAILED;
    }
    return FLK_EXIT_OK;
}
