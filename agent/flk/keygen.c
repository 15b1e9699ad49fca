/* SPDX-License-Identifier: MIT */
/* flk keygen: a pair of CURVE keys, or a key that signs PCS or checkpoints, as files for the programs. Never prints a
 * secret, never overwrites. */
#include <stdio.h>
#include <string.h>

#include "agent/flk/cluster/keypair.h"
#include "agent/flk/command.h"
#include "agent/flk/json_out.h"
#include "agent/flk/signing_key.h"
#include "agent/flk/tlog_key.h"
#include "common/program/options.h"
#include "common/program/settings.h"

typedef struct keygen {
    const char *dir, *name;
    bool json, for_tlog; /* a key that signs checkpoints */
    flk_role_t role;     /* FLK_ROLE_NONE: not said */
    flk_sign_alg_t sign; /* FLK_SIGN_NONE: a CURVE pair */
} keygen_t;

/* id, name, argument (NULL: none), limits, default, help */
#define OPTIONS(X)                                                                                                     \
    X(ROLE, "role", "ROLE", "broker, gateway, worker, agent, admin or tlog", "",                                       \
      "of the process; tlog: a key that signs checkpoints of the transparency log")                                    \
    X(SIGN, "sign", "ALG", "hmac or ed25519", "", "a key that signs PCS, instead of a pair for links")                 \
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
    printf("With --sign a key that signs PCS, with NAME as its id:\n\n"
           "  DIR/NAME.secret     for agents, as PCS_HMAC_KEY_FILE or\n"
           "                      PCS_ED25519_SECRET_B64_FILE\n"
           "  DIR/NAME.ring.json  for workers: a key ring for PCS_KEYRING_FILE, or an entry\n"
           "                      for the one that they have\n\n");
    printf("With --role tlog a key that signs the checkpoints of transparency logs:\n\n"
           "  DIR/NAME.key        for flk-follow, as FLK_TLOG_KEY_FILE\n"
           "  DIR/NAME.vkey       the verifier key, for auditors: flk audit --key\n\n");
    flk_options_print(&command_line, 0, stdout);
    printf("\nA key that exists is never overwritten. Exit codes: 0 done, 1 failed, 2 wrong\n"
           "argument.\n");
}

static bool take_option(void *arg, size_t row, char *value) {
    keygen_t *keygen = arg;
    switch ((enum option_id)row) {
    case OPTION_ROLE:
        keygen->for_tlog = strcmp(value, "tlog") == 0;
        return keygen->for_tlog || flk_role_parse(value, &keygen->role);
    case OPTION_SIGN:
        return flk_sign_alg_parse(value, &keygen->sign) && keygen->sign != FLK_SIGN_NONE;
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
    if (keygen->sign != FLK_SIGN_NONE && (keygen->role != FLK_ROLE_NONE || keygen->for_tlog)) {
        return flk_options_wrong(&command_line, "--sign is of a key for PCS, --role of another one: give one");
    }
    keygen->name = rest[0];
    return -1;
}

static flk_err_t make_signing_key(const keygen_t *keygen, char *errmsg) {
    flk_signing_key_t key;
    flk_err_t err = flk_signing_key_make(keygen->dir, keygen->sign, keygen->name, &key, errmsg);
    if (err == FLK_OK && keygen->json) {
        flk_json_out(json_pack("{s:s, s:s, s:s}", "secret_key_file", key.secret_path, "key_ring_file", key.ring_path,
                               "public_key", key.public_key));
    } else if (err == FLK_OK) {
        printf("secret key  %s\nkey ring    %s%s%s\n", key.secret_path, key.ring_path,
               key.public_key[0] != '\0' ? "  " : "", key.public_key);
    }
    return err;
}

static flk_err_t make_tlog_key(const keygen_t *keygen, char *errmsg) {
    flk_tlog_key_t key;
    flk_err_t err = flk_tlog_key_make(keygen->dir, keygen->name, &key, errmsg);
    if (err == FLK_OK && keygen->json) {
        flk_json_out(json_pack("{s:s, s:s, s:s}", "secret_key_file", key.secret_path, "verifier_key_file",
                               key.verifier_path, "verifier_key", key.verifier_key));
    } else if (err == FLK_OK) {
        printf("secret key    %s\nverifier key  %s  %s\n", key.secret_path, key.verifier_path, key.verifier_key);
    }
    return err;
}

static flk_err_t make_pair(const keygen_t *keygen, char *errmsg) {
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
        keygen.dir = dir[0] != '\0' && keygen.sign == FLK_SIGN_NONE && !keygen.for_tlog ? dir : ".";
    }
    flk_err_t err = keygen.sign != FLK_SIGN_NONE ? make_signing_key(&keygen, errmsg)
                    : keygen.for_tlog            ? make_tlog_key(&keygen, errmsg)
                                                 : make_pair(&keygen, errmsg);
    flk_settings_destroy(&settings);
    if (err != FLK_OK) {
        fprintf(stderr, "flk keygen: %s\n", errmsg);
        return FLK_EXIT_FAILED;
    }
    return FLK_EXIT_OK;
}
