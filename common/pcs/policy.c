/* SPDX-License-Identifier: MIT */
#include "common/pcs/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/escape.h"
#include "common/pcs/pcs.h"
#include "common/pcs/text.h"
#include "common/sha256.h"

#define DEFAULT_VERSION "default-1"

enum { FILE_BYTES_MAX = 65536, TTL_MIN_S = 60, TTL_MAX_S = 315360000 };

static const struct {
    const char *name;
    size_t offset;
    double value, max; /* default; the least is 0 */
} members[] = {
    {"tolD", offsetof(flk_policy_t, tol_d), 0.15, 1},
    {"tolCoh", offsetof(flk_policy_t, tol_coh), 0.05, 1},
    {"tolBudget", offsetof(flk_policy_t, tol_budget), 0.01, 1},
    {"alpha", offsetof(flk_policy_t, alpha), 0.30, 1},
    {"beta", offsetof(flk_policy_t, beta), 0.50, 1},
    {"gamma", offsetof(flk_policy_t, gamma), 0.20, 1},
    {"base", offsetof(flk_policy_t, base), 0.10, 1},
    {"D0", offsetof(flk_policy_t, d0), 2.2, 16},
};

static double *member_of(flk_policy_t *policy, size_t i) {
    return (double *)(void *)((char *)policy + members[i].offset);
}

void flk_policy_default(flk_policy_t *policy) {
    memset(policy, 0, sizeof *policy);
    memcpy(policy->version, DEFAULT_VERSION, sizeof DEFAULT_VERSION);
    for (size_t i = 0; i < FLK_COUNT_OF(members); i++) {
        *member_of(policy, i) = members[i].value;
    }
    policy->dedup_ttl_s = 14 * 24 * 3600;
}

static flk_err_t take_version(json_t *value, flk_policy_t *policy, char *errmsg) {
    const char *text = json_string_value(value);
    size_t text_bytes = json_string_length(value);
    if (text == NULL || !flk_text_is_name(text, text_bytes, FLK_POLICY_VERSION_BYTES - 1)) {
        flk_errmsg(errmsg, "version must be a string of 1 to %d of A-Z a-z 0-9 . _ : -", FLK_POLICY_VERSION_BYTES - 1);
        return FLK_E_CONFIG;
    }
    if (strcmp(text, DEFAULT_VERSION) == 0) {
        flk_errmsg(errmsg, "version " DEFAULT_VERSION " is the built-in policy; give this one another version");
        return FLK_E_CONFIG;
    }
    memset(policy->version, 0, sizeof policy->version);
    memcpy(policy->version, text, text_bytes);
    return FLK_OK;
}

static flk_err_t take_ttl(json_t *value, flk_policy_t *policy, char *errmsg) {
    json_int_t ttl_s = json_integer_value(value);
    if (!json_is_integer(value) || ttl_s < TTL_MIN_S || ttl_s > TTL_MAX_S) {
        flk_errmsg(errmsg, "dedup_ttl_s must be an integer from %d to %d", TTL_MIN_S, TTL_MAX_S);
        return FLK_E_CONFIG;
    }
    policy->dedup_ttl_s = (uint64_t)ttl_s;
    return FLK_OK;
}

static flk_err_t take_member(const char *key, json_t *value, flk_policy_t *policy, char *errmsg) {
    if (strcmp(key, "version") == 0) {
        return take_version(value, policy, errmsg);
    }
    if (strcmp(key, "dedup_ttl_s") == 0) {
        return take_ttl(value, policy, errmsg);
    }
    for (size_t i = 0; i < FLK_COUNT_OF(members); i++) {
        if (strcmp(key, members[i].name) != 0) {
            continue;
        }
        double number = json_number_value(value);
        if (!json_is_number(value) || !(number >= 0 && number <= members[i].max)) {
            flk_errmsg(errmsg, "%s must be a number from 0 to %g", key, members[i].max);
            return FLK_E_CONFIG;
        }
        *member_of(policy, i) = number;
        return FLK_OK;
    }
    char shown[FLK_SHOWN_BYTES];
    flk_errmsg(errmsg,
               "unknown member '%s'; members are version, tolD, tolCoh, tolBudget, alpha, beta, gamma, base, "
               "D0, dedup_ttl_s",
               flk_escape_name(key, shown));
    return FLK_E_CONFIG;
}

static flk_err_t read_policy(json_t *root, flk_policy_t *policy, char *errmsg) {
    if (!json_is_object(root)) {
        flk_errmsg(errmsg, "must be one JSON object");
        return FLK_E_CONFIG;
    }
    if (json_object_get(root, "version") == NULL) {
        flk_errmsg(errmsg, "version is required: another policy is another version");
        return FLK_E_CONFIG;
    }
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value) {
        flk_err_t err = take_member(key, value, policy, errmsg);
        if (err != FLK_OK) {
            return err;
        }
    }
    return FLK_OK;
}

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

static flk_err_t load(const char *path, flk_policy_t *policy, char *errmsg) {
    char text[FILE_BYTES_MAX + 1];
    ssize_t text_bytes = read_file(path, text, sizeof text, errmsg);
    if (text_bytes < 0) {
        return FLK_E_CONFIG;
    }
    if (text_bytes > FILE_BYTES_MAX) {
        flk_errmsg(errmsg, "is larger than %d bytes", FILE_BYTES_MAX);
        return FLK_E_CONFIG;
    }
    json_error_t error;
    json_t *root = json_loadb(text, (size_t)text_bytes, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        char shown[FLK_SHOWN_BYTES]; /* jansson quotes the file */
        flk_errmsg(errmsg, "line %d, column %d: %s", error.line, error.column, flk_escape_name(error.text, shown));
        return FLK_E_CONFIG;
    }
    flk_err_t err = read_policy(root, policy, errmsg);
    json_decref(root);
    return err;
}

flk_err_t flk_policy_load(const char *path, flk_policy_t *policy, char *errmsg) {
    flk_policy_t loaded;
    flk_policy_default(&loaded);
    flk_err_t err = load(path, &loaded, errmsg);
    if (err != FLK_OK) {
        char step[FLK_ERRMSG_BYTES / 2];
        snprintf(step, sizeof step, "policy %s", path);
        flk_errmsg_prefix(errmsg, step);
        return err;
    }
    *policy = loaded;
    return FLK_OK;
}

void flk_policy_digest(const flk_policy_t *policy, char digest[FLK_POLICY_DIGEST_HEX + 1]) {
    char text[512];
    uint8_t hash[FLK_SHA256_BYTES];
    int bytes = snprintf(text, sizeof text, "%a %a %a %a %a %a %a %a %llu", policy->tol_d, policy->tol_coh,
                         policy->tol_budget, policy->alpha, policy->beta, policy->gamma, policy->base, policy->d0,
                         (unsigned long long)policy->dedup_ttl_s);
    FLK_ASSERT(bytes > 0 && bytes < (int)sizeof text);
    flk_sha256(text, (size_t)bytes, hash);
    sodium_bin2hex(digest, FLK_POLICY_DIGEST_HEX + 1, hash, FLK_POLICY_DIGEST_HEX / 2);
}
