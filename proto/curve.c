/* SPDX-License-Identifier: MIT */
/* Reading: the mode, for a secret -> the line -> 32 bytes. Making: a pair in memory -> both files, each synced, neither
 * over another -> the secret wiped. */
#include "proto/curve.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

#include "common/io.h"

enum { FILE_BYTES_MAX = 64, SECRET_MODE = FLK_IO_MODE, PUBLIC_MODE = 0644 };

static const struct {
    const char *name, *dir;
} roles[FLK_ROLES_COUNT] = {
#define FLK_ROLE_ROW(id, name, dir) {name, dir},
    FLK_ROLES(FLK_ROLE_ROW)
#undef FLK_ROLE_ROW
};

const char *flk_role_name(flk_role_t role) {
    return roles[role].name;
}

const char *flk_role_dir(flk_role_t role) {
    return roles[role].dir;
}

bool flk_role_parse(const char *text, flk_role_t *role) {
    for (flk_role_t i = 0; i < FLK_ROLES_COUNT; i++) {
        if (strcmp(text, roles[i].name) == 0) {
            *role = i;
            return true;
        }
    }
    return false;
}

bool flk_curve_name_valid(const char *name) {
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(name);
    return len >= 1 && len <= FLK_CURVE_NAME_MAX && strspn(name, first) == len && strchr("._-", name[0]) == NULL;
}

/* ---- reading ---- */

/* Reads the key in `path` as text and as bytes; both are wiped after an error. */
static flk_err_t read_key(const char *path, char text[FLK_CURVE_TEXT_BYTES], uint8_t key[FLK_CURVE_KEY_BYTES],
                          char *errmsg) {
    char *data = NULL;
    size_t bytes = 0;
    flk_err_t err = flk_io_read_file(path, FILE_BYTES_MAX, &data, &bytes, errmsg);
    if (err != FLK_OK && err != FLK_E_TOO_LARGE) {
        return err;
    }
    size_t len = bytes == FLK_CURVE_TEXT_BYTES && data[bytes - 1] == '\n' ? bytes - 1 : bytes;
    err = FLK_E_INVALID;
    if (len == FLK_CURVE_TEXT_BYTES - 1 && memchr(data, '\0', len) == NULL) {
        memcpy(text, data, len);
        text[len] = '\0';
        err = zmq_z85_decode(key, text) != NULL ? FLK_OK : FLK_E_INVALID;
    }
    if (data != NULL) {
        sodium_memzero(data, bytes);
    }
    free(data);
    if (err != FLK_OK) {
        sodium_memzero(text, FLK_CURVE_TEXT_BYTES);
        sodium_memzero(key, FLK_CURVE_KEY_BYTES);
        flk_errmsg(errmsg, "%.200s holds no key: it must be one line of 40 characters of Z85", path);
    }
    return err;
}

flk_err_t flk_curve_read_public(const char *path, char public_key[FLK_CURVE_TEXT_BYTES], char *errmsg) {
    uint8_t key[FLK_CURVE_KEY_BYTES];
    return read_key(path, public_key, key, errmsg);
}

static flk_err_t check_mode(const char *path, char *errmsg) {
    struct stat status;
    if (stat(path, &status) != 0) {
        flk_errmsg(errmsg, "cannot read %.200s: %s", path, strerror(errno));
        return FLK_E_CONFIG;
    }
    if (status.st_mode & S_IRWXO) {
        flk_errmsg(errmsg,
                   "%.200s has mode %04o: everybody may use this secret key; chmod 600 it, and make another one", path,
                   (unsigned)(status.st_mode & 07777));
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

flk_err_t flk_curve_read_secret(const char *path, uint8_t secret[FLK_CURVE_KEY_BYTES],
                                char public_key[FLK_CURVE_TEXT_BYTES], char *errmsg) {
    char text[FLK_CURVE_TEXT_BYTES] = "";
    flk_err_t err = check_mode(path, errmsg);
    if (err == FLK_OK) {
        err = read_key(path, text, secret, errmsg);
    }
    if (err == FLK_OK && zmq_curve_public(public_key, text) != 0) {
        sodium_memzero(secret, FLK_CURVE_KEY_BYTES);
        flk_errmsg(errmsg, "%.200s: this build of libzmq has no CURVE", path);
        err = FLK_E_CONFIG;
    }
    sodium_memzero(text, sizeof text);
    return err == FLK_OK ? FLK_OK : FLK_E_CONFIG;
}

/* ---- making ---- */

static flk_err_t write_key(const char *path, const char text[FLK_CURVE_TEXT_BYTES], mode_t mode, char *errmsg) {
    char line[FLK_CURVE_TEXT_BYTES];
    memcpy(line, text, FLK_CURVE_TEXT_BYTES - 1);
    line[FLK_CURVE_TEXT_BYTES - 1] = '\n';
    flk_err_t err = flk_io_write_new(path, line, sizeof line, mode, errmsg);
    sodium_memzero(line, sizeof line);
    return err;
}

flk_err_t flk_curve_make_files(const char *secret_path, const char *public_path, char public_key[FLK_CURVE_TEXT_BYTES],
                               char *errmsg) {
    char secret[FLK_CURVE_TEXT_BYTES];
    if (zmq_curve_keypair(public_key, secret) != 0) {
        flk_errmsg(errmsg, "this build of libzmq has no CURVE");
        return FLK_E_CONFIG;
    }
    flk_err_t err = write_key(secret_path, secret, SECRET_MODE, errmsg);
    if (err == FLK_OK) {
        err = write_key(public_path, public_key, PUBLIC_MODE, errmsg);
        if (err != FLK_OK) {
            (void)!flk_io_unlink(secret_path, NULL);
        }
    }
    sodium_memzero(secret, sizeof secret);
    return err;
}
