/* SPDX-License-Identifier: MIT */
#include "common/pcs/policy/load.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/pcs/policy/guard.h"
#include "common/pcs/policy/json.h"
#include "common/pcs/policy/source.h"

/* Bytes read, up to text_max; -1 with errmsg filled. */
static ssize_t read_file(const char *path, char *text, size_t text_max, char *errmsg) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        flk_errmsg(errmsg, "cannot open: %s", strerror(errno));
        return -1;
    }
    size_t len = 0;
    ssize_t got = 1;
    while (len < text_max && got != 0) {
        got = read(fd, text + len, text_max - len);
        if (got < 0 && errno != EINTR) {
            flk_errmsg(errmsg, "cannot read: %s", strerror(errno));
            close(fd);
            return -1;
        }
        len += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    return (ssize_t)len;
}

/* The built-in policy's version, on another one, would give two policies one version. */
static flk_err_t check_version(const flk_policy_t *policy, flk_place_t place, char *errmsg) {
    char digests[2][FLK_POLICY_DIGEST_HEX + 1];
    flk_policy_t built_in;
    if (strcmp(policy->version, FLK_POLICY_DEFAULT_VERSION) != 0) {
        return FLK_OK;
    }
    flk_policy_default(&built_in);
    flk_policy_digest(&built_in, digests[0]);
    flk_policy_digest(policy, digests[1]);
    return strcmp(digests[0], digests[1]) == 0
               ? FLK_OK
               : flk_place_fault(place, errmsg,
                                 "version " FLK_POLICY_DEFAULT_VERSION
                                 " is the built-in policy; give this one another version");
}

static bool is_language(const char *text, size_t text_bytes) {
    size_t i = 0;
    while (i < text_bytes && isspace((unsigned char)text[i])) {
        i++;
    }
    return i < text_bytes && (text[i] == '#' || isalpha((unsigned char)text[i]));
}

static flk_err_t from_text(const char *text, size_t text_bytes, flk_policy_t *policy, flk_places_t *places,
                           char *errmsg) {
    flk_policy_source_t source;
    flk_err_t err = flk_policy_parse(text, text_bytes, &source, errmsg);
    return err == FLK_OK ? flk_policy_compile(&source, policy, places, errmsg) : err;
}

flk_err_t flk_policy_read(const char *text, size_t text_bytes, flk_policy_t *policy, char *errmsg) {
    flk_policy_t read;
    flk_places_t places;
    memset(&places, 0, sizeof places);
    flk_policy_default(&read);
    flk_err_t err = is_language(text, text_bytes) ? from_text(text, text_bytes, &read, &places, errmsg)
                                                  : flk_policy_from_json(text, text_bytes, &read, errmsg);
    err = err == FLK_OK ? flk_policy_guard(&read, &places, errmsg) : err;
    err = err == FLK_OK ? check_version(&read, places.version, errmsg) : err;
    if (err == FLK_OK) {
        *policy = read;
    }
    return err;
}

static flk_err_t load(const char *path, flk_policy_t *policy, char *errmsg) {
    char text[FLK_POLICY_FILE_BYTES_MAX + 1];
    ssize_t text_bytes = read_file(path, text, sizeof text, errmsg);
    if (text_bytes < 0) {
        return FLK_E_CONFIG;
    }
    if (text_bytes > FLK_POLICY_FILE_BYTES_MAX) {
        flk_errmsg(errmsg, "is larger than %d bytes", FLK_POLICY_FILE_BYTES_MAX);
        return FLK_E_CONFIG;
    }
    return flk_policy_read(text, (size_t)text_bytes, policy, errmsg);
}

flk_err_t flk_policy_load(const char *path, flk_policy_t *policy, char *errmsg) {
    flk_err_t err = load(path, policy, errmsg);
    if (err != FLK_OK) {
        char step[FLK_ERRMSG_BYTES / 2];
        snprintf(step, sizeof step, "policy %s", path);
        flk_errmsg_prefix(errmsg, step);
    }
    return err;
}
