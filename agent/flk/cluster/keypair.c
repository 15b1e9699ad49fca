/* SPDX-License-Identifier: MIT */
#include "agent/flk/cluster/keypair.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static flk_err_t make_directory(const char *path, char *errmsg) {
    if (mkdir(path, 0755) != 0 && errno != EEXIST) {
        flk_errmsg(errmsg, "cannot create directory %.200s: %s", path, strerror(errno));
        return FLK_E_IO;
    }
    return FLK_OK;
}

flk_err_t flk_keypair_make(const char *dir, flk_role_t role, const char *name, flk_keypair_t *pair, char *errmsg) {
    char list[PATH_MAX];
    bool has_role = role != FLK_ROLE_NONE;
    if (strlen(dir) + FLK_CURVE_NAME_MAX + sizeof "/gateways/.pub" > sizeof list) {
        flk_errmsg(errmsg, "the directory's name is too long");
        return FLK_E_CONFIG;
    }
    snprintf(list, sizeof list, "%s%s%s", dir, has_role ? "/" : "", has_role ? flk_role_dir(role) : "");
    snprintf(pair->secret_path, sizeof pair->secret_path, "%.4000s/%s.key", dir, name);
    snprintf(pair->public_path, sizeof pair->public_path, "%.4000s/%s.pub", list, name);
    flk_err_t err = make_directory(dir, errmsg);
    if (err == FLK_OK) {
        err = make_directory(list, errmsg);
    }
    return err == FLK_OK ? flk_curve_make_files(pair->secret_path, pair->public_path, pair->public_key, errmsg) : err;
}
