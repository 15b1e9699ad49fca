/* SPDX-License-Identifier: MIT */
#include "common/program/settings_row.h"

#include <stdio.h>
#include <string.h>

#include "common/address.h"

enum { /* short names for the table */
       G = FLK_PROGRAM_GATEWAY,
       B = FLK_PROGRAM_BROKER,
       W = FLK_PROGRAM_WORKER,
       A = FLK_PROGRAM_AGENT,
       F = FLK_PROGRAM_FLK,
       R = FLK_PROGRAM_REPLAY,
       L = FLK_PROGRAM_FOLLOW,
};

const flk_setting_row_t flk_setting_rows[FLK_SETTINGS_COUNT] = {
#define FLK_SETTING_ROW(id, ...)            [FLK_SET_##id] = FLK_SETTING_FIELDS(__VA_ARGS__)
#define FLK_SETTING_FIELDS(name, type, ...) {name, FLK_SETTING_##type, __VA_ARGS__},
    FLK_SETTINGS(FLK_SETTING_ROW)
#undef FLK_SETTING_FIELDS
#undef FLK_SETTING_ROW
};

const flk_program_t flk_programs[FLK_PROGRAMS_LEN] = {
    FLK_PROGRAM_GATEWAY, FLK_PROGRAM_BROKER, FLK_PROGRAM_WORKER, FLK_PROGRAM_AGENT,
    FLK_PROGRAM_REPLAY,  FLK_PROGRAM_FOLLOW, FLK_PROGRAM_FLK,
};

const char *flk_program_name(flk_program_t program) {
    switch (program) {
    case FLK_PROGRAM_GATEWAY:
        return "flk-gateway";
    case FLK_PROGRAM_BROKER:
        return "flk-broker";
    case FLK_PROGRAM_WORKER:
        return "flk-worker";
    case FLK_PROGRAM_AGENT:
        return "flk-agent";
    case FLK_PROGRAM_REPLAY:
        return "flk-replay";
    case FLK_PROGRAM_FOLLOW:
        return "flk-follow";
    case FLK_PROGRAM_FLK:
        break;
    }
    return "flk";
}

const char *flk_setting_default(const flk_setting_row_t *row, flk_program_t program) {
    if (row == &flk_setting_rows[FLK_SET_ADMIN_LISTEN]) {
        return program == FLK_PROGRAM_WORKER ? "127.0.0.1:8082" : "127.0.0.1:8081";
    }
    return row->default_value;
}

const char *flk_setting_shown(const flk_setting_row_t *row, const char *value, char out[FLK_SETTING_SHOWN_BYTES]) {
    if (row->type == FLK_SETTING_SECRET) {
        return value[0] != '\0' ? "****" : "";
    }
    if (strstr(value, "://") != NULL) {
        flk_address_show(value, out, FLK_SETTING_SHOWN_BYTES);
    } else {
        snprintf(out, FLK_SETTING_SHOWN_BYTES, "%s", value);
        flk_address_hide_users(out);
    }
    return out;
}
