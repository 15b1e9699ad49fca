/* SPDX-License-Identifier: MIT */
/* flk keygen: a pair of CURVE keys as files, where the programs look for them. Never prints a secret, never overwrites.
 */
#include <stdio.h>

#include "agent/flk/cluster/keypair.h"
#include "agent/flk/command.h"
#include "agent/flk/json_out.h"
#include "common/program/options.h"
#include "common/program/settings.h"

typedef struct keygen {
    const char *dir, *name;
    bool json;
    flk_role_t role; /* FLK_ROLE_NONE: not said */
} keygen_t;

/* id, name, argument (NULL: none), limits, default, help */
#define OPTIONS(X)                                                                                                     \
    X(ROLE, "role", "ROLE", "broker, gateway, worker, agent or admin", "", "of the process")                           \
    X(DIR, "dir", "DIR", "", "FLK_CURVE_DIR, else the current directory", "the FLK_CURVE_DIR of the processes")        \
    X(JSON, "json", NULL, "", "", "the paths and the public key as one JSON document")

enum option_id { OPTIONS(FLK_OPTION_ID) };
static const flk_option_t rows[] = {OPTIONS(FLK_OPTION_ROW)};
FLK_COMMAND_LINE("flk keygen");

static void print_help(void) {
    printf("Usage: flk keygen [OPTION...] NAME\n\n"
           "Makes a key pair for the ZeroMQ links of one process, or of all that share it:\n\n"
           "  DIR/NAME.key        the secret key (mode 0600), for FLK_CURVE_KEY_FILE of that\n"
           "                      process\n"
           "  DIR/ROLES/NAME.pub  the public key: copy it to wherever it is let in; without\n"
           "                      --role DIR/NAME.pub\n\n");
    flk_options_print(&command_line, 0, stdout);
    printf("\nA key that exists is never overwritten. Exit codes: 0 done, 1 failed, 2 wrong\n"
           "argument.\n");
}

static bool take_option(void *arg, size_t row, char *value) {
    keygen_t *keygen = arg;
    switch ((enum option_id)row) {
    case OPTION_ROLE:
        return flk_role_parse(value, &keygen->role);
    case OPTION_DIR:
        keygen->dir = value;
        return true;
    case OPTION_JSON:
        return keygen->json = true;
    }
    FLK_ASSERT(false); /* every option has a case */
}

/* -1 to go on, or the exit status. */
static int parse(int argc, char **argv, keygen_t *keygen) {
    char **rest;
    uint64_t given;
    int status = flk_options_parse(&command_line, argc, argv, keygen, &given, &rest);
    if (status >= 0) {
        return status;
    }
    if (rest[0] == NULL || rest[1] != NULL) {
        return flk_options_wrong(&command_line, "give one NAME");
    }
    if (!flk_curve_name_valid(rest[0])) {
        return flk_options_wrong(&command_line,
                                 "a NAME has 1 to 64 of A-Z a-z 0-9 . _ - and begins with a letter or digit");
    }
    keygen->name = rest[0];
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
        fprintf(stderr, "flk keygen: %s\n", errmsg);
        return FLK_EXIT_USAGE;
    }
    if (keygen.dir == NULL) {
        const char *dir = flk_settings_str(settings, FLK_SET_CURVE_DIR);
        keygen.dir = dir[0] != '\0' ? dir : ".";
    }
    flk_err_t err = make(&keygen, errmsg);
    flk_settings_destroy(&settings);
    if (err != FLK_OK) {
        fprintf(stderr, "flk keygen: %s\n", errmsg);
        return FLK_EXIT_FAILED;
    }
    return FLK_EXIT_OK;
}
