/* SPDX-License-Identifier: MIT */
#include "agent/flk/cluster/sibling.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

flk_err_t flk_sibling_path(const char *name, char *path, size_t path_bytes, char *errmsg) {
    char self[PATH_MAX];
    ssize_t self_len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (self_len < 0) {
        flk_errmsg(errmsg, "cannot find the directory of flk: %s", strerror(errno));
        return FLK_E_NOT_FOUND;
    }
    self[self_len] = '\0';
    *strrchr(self, '/') = '\0';
    int len = snprintf(path, path_bytes, "%s/flk-%s", self, name);
    bool plain = name[0] != '\0' && strchr(name, '/') == NULL;
    if (!plain || len < 0 || (size_t)len >= path_bytes || access(path, X_OK) != 0) {
        flk_errmsg(errmsg, "there is no program flk-%.64s in %.160s", name, self);
        return FLK_E_NOT_FOUND;
    }
    return FLK_OK;
}

flk_err_t flk_sibling_exec(const char *name, const char *title, char **argv, char *errmsg) {
    char path[PATH_MAX];
    flk_err_t err = flk_sibling_path(name, path, sizeof path, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    argv[0] = title != NULL ? (char *)title : path;
    execv(path, argv);
    flk_errmsg(errmsg, "cannot run %.160s: %s", path, strerror(errno));
    return FLK_E_IO;
}
