/* SPDX-License-Identifier: MIT */
#include "agent/flk/policy/ask.h"

#include <stdio.h>
#include <string.h>

#include "common/program/program.h"

static flk_err_t read_standard_input(flk_policy_t *policy, char *errmsg) {
    static char text[FLK_POLICY_FILE_BYTES_MAX + 1];
    size_t bytes = fread(text, 1, sizeof text, stdin);
    if (bytes > FLK_POLICY_FILE_BYTES_MAX) {
        flk_errmsg(errmsg, "standard input is larger than %d bytes", FLK_POLICY_FILE_BYTES_MAX);
        return FLK_E_CONFIG;
    }
    return flk_policy_read(text, bytes, policy, errmsg);
}

bool flk_policy_ask_load(const char *file, flk_policy_t *policy) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_policy_default(policy);
    if (file == NULL) {
        return true;
    }
    flk_err_t err =
        strcmp(file, "-") == 0 ? read_standard_input(policy, errmsg) : flk_policy_load(file, policy, errmsg);
    return err == FLK_OK || flk_policy_ask_failed(errmsg) == FLK_EXIT_OK;
}

int flk_policy_ask_failed(const char *errmsg) {
    fprintf(stderr, "flk policy: %s\n", errmsg);
    return FLK_EXIT_FAILED;
}
