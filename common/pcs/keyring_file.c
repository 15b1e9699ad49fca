/* SPDX-License-Identifier: MIT */
/* The keyring file (keyring.h has its form): read as a whole into secret memory, parsed strictly, key by key into the
 * ring. Every fault ends in one line with file, key and member, and the ring is not used.
 *
 * It is read with one open: a file that is replaced meanwhile is the old one or the new one. It may be a symbolic
 * link, as mounted secrets are; its rights are those of the file it leads to. */
#include "common/pcs/key_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base64.h"
#include "common/escape.h"
#include "common/pcs/text.h"
#include "common/secret.h"

enum { FILE_BYTES_MAX = 65536, RIGHTS_TOO_WIDE = S_IWGRP | S_IROTH | S_IWOTH };

/* ---- one key ---- */

typedef struct entry {
    const char *id, *key, *public_key; /* NULL when absent */
    size_t key_bytes, public_key_bytes;
    flk_sign_alg_t alg;
    int64_t not_before_s, not_after_s;
} entry_t;

static flk_err_t wrong(char *errmsg, const char *what) {
    flk_errmsg(errmsg, "%s", what);
    return FLK_E_CONFIG;
}

static int number_at(const char *text, size_t digits) {
    int number = 0;
    for (size_t i = 0; i < digits; i++) {
        number = number * 10 + (text[i] - '0');
    }
    return number;
}

/* Exactly "2026-11-01T00:00:00Z": one form, no zones to get wrong. */
static bool parse_time(const json_t *value, int64_t *time_s) {
    const char *text = json_string_value(value);
    if (text == NULL || json_string_length(value) != 20 || text[10] != 'T' || text[19] != 'Z' ||
        !flk_text_is_rfc3339(text, 20) || text[17] == '6') { /* no leap seconds */
        return false;
    }
    struct tm utc = {.tm_year = number_at(text, 4) - 1900,
                     .tm_mon = number_at(text + 5, 2) - 1,
                     .tm_mday = number_at(text + 8, 2),
                     .tm_hour = number_at(text + 11, 2),
                     .tm_min = number_at(text + 14, 2),
                     .tm_sec = number_at(text + 17, 2)};
    *time_s = timegm(&utc);
    return true;
}

static flk_err_t take_id(const json_t *value, entry_t *entry, char *errmsg) {
    entry->id = json_string_value(value);
    if (entry->id == NULL || !flk_text_is_name(entry->id, json_string_length(value), FLK_KEY_ID_BYTES - 1) ||
        strncmp(entry->id, "PCS_", 4) == 0) {
        return wrong(errmsg, "id must be 1 to 32 of A-Z a-z 0-9 . _ : - and not begin with PCS_");
    }
    return FLK_OK;
}

static flk_err_t take_member(const char *name, const json_t *value, entry_t *entry, char *errmsg) {
    if (strcmp(name, "id") == 0) {
        return take_id(value, entry, errmsg);
    }
    if (strcmp(name, "alg") == 0) {
        const char *alg = json_string_value(value);
        bool known = alg != NULL && flk_sign_alg_parse(alg, &entry->alg) && entry->alg != FLK_SIGN_NONE;
        return known ? FLK_OK : wrong(errmsg, "alg must be hmac or ed25519");
    }
    if (strcmp(name, "key") == 0) {
        entry->key = json_string_value(value);
        entry->key_bytes = json_string_length(value);
        return entry->key_bytes > 0 ? FLK_OK : wrong(errmsg, "key must be a text that is not empty");
    }
    if (strcmp(name, "public_key") == 0) {
        entry->public_key = json_string_value(value);
        entry->public_key_bytes = json_string_length(value);
        return entry->public_key_bytes > 0 ? FLK_OK : wrong(errmsg, "public_key must be base64");
    }
    if (strcmp(name, "not_before") == 0) {
        return parse_time(value, &entry->not_before_s)
                   ? FLK_OK
                   : wrong(errmsg, "not_before must be a time like 2026-11-01T00:00:00Z");
    }
    if (strcmp(name, "not_after") == 0) {
        return parse_time(value, &entry->not_after_s)
                   ? FLK_OK
                   : wrong(errmsg, "not_after must be a time like 2026-11-01T00:00:00Z");
    }
    char shown[FLK_SHOWN_BYTES];
    flk_errmsg(errmsg, "unknown member '%s'; members are id, alg, key, public_key, not_before, not_after",
               flk_escape_name(name, shown));
    return FLK_E_CONFIG;
}

static flk_err_t check_entry(const entry_t *entry, bool allow_weak, char *errmsg) {
    if (entry->id == NULL) {
        return wrong(errmsg, "id is required");
    }
    if (entry->alg == FLK_SIGN_NONE) {
        return wrong(errmsg, "alg is required");
    }
    bool hmac = entry->alg == FLK_SIGN_HMAC;
    if ((entry->key != NULL) != hmac || (entry->public_key != NULL) == hmac) {
        return wrong(errmsg, hmac ? "alg hmac needs key and no public_key" : "alg ed25519 needs public_key and no key");
    }
    if (hmac && !allow_weak && flk_secret_is_sample(entry->key)) {
        return wrong(errmsg, "key is one that documents print as an example; draw one of your own");
    }
    if (hmac && !allow_weak && entry->key_bytes < FLK_SECRET_KEY_BYTES_MIN) {
        flk_errmsg(errmsg, "key has %zu bytes, which can be guessed; %d are the least", entry->key_bytes,
                   FLK_SECRET_KEY_BYTES_MIN);
        return FLK_E_CONFIG;
    }
    if (entry->not_before_s >= entry->not_after_s) {
        return wrong(errmsg, "not_after must be later than not_before");
    }
    return FLK_OK;
}

static flk_err_t fill_material(flk_key_t *key, const entry_t *entry, char *errmsg) {
    if (entry->alg == FLK_SIGN_HMAC) {
        flk_hmac_key_init(&key->material.hmac, entry->key, entry->key_bytes);
        return FLK_OK;
    }
    size_t bytes;
    uint8_t *pub = key->material.ed25519_pub;
    bool good =
        flk_base64_decode(entry->public_key, entry->public_key_bytes, pub, crypto_sign_PUBLICKEYBYTES, &bytes) &&
        bytes == crypto_sign_PUBLICKEYBYTES && flk_key_is_ed25519_public(pub);
    return good ? FLK_OK : wrong(errmsg, "public_key is not the base64 of a 32-byte Ed25519 public key");
}

static flk_err_t read_entry(json_t *object, entry_t *entry, char *errmsg) {
    const char *name;
    json_t *value;
    if (!json_is_object(object)) {
        return wrong(errmsg, "must be an object");
    }
    *entry = (entry_t){.alg = FLK_SIGN_NONE, .not_before_s = INT64_MIN, .not_after_s = INT64_MAX};
    json_object_foreach(object, name, value) {
        flk_err_t err = take_member(name, value, entry, errmsg);
        if (err != FLK_OK) {
            return err;
        }
    }
    return FLK_OK;
}

static flk_err_t add_entry(flk_keyring_t *keyring, json_t *object, bool allow_weak, char *errmsg) {
    entry_t entry;
    flk_key_t *key;
    flk_err_t err = read_entry(object, &entry, errmsg);
    err = err == FLK_OK ? check_entry(&entry, allow_weak, errmsg) : err;
    err = err == FLK_OK ? flk_keyring_add(keyring, entry.id, entry.alg, &key, errmsg) : err;
    if (err != FLK_OK) {
        return err;
    }
    key->not_before_s = entry.not_before_s;
    key->not_after_s = entry.not_after_s;
    return fill_material(key, &entry, errmsg);
}

/* ---- the file ---- */

static json_t *keys_of(json_t *root) {
    json_t *keys = json_object_get(root, "keys");
    return json_object_size(root) == 1 && json_is_array(keys) ? keys : NULL;
}

static flk_err_t add_entries(flk_keyring_t *keyring, json_t *root, bool allow_weak, char *errmsg) {
    json_t *keys = keys_of(root);
    if (keys == NULL) {
        return wrong(errmsg, "must be one object {\"keys\": [...]}");
    }
    if (json_array_size(keys) == 0) {
        return wrong(errmsg, "keys is empty");
    }
    for (size_t i = 0; i < json_array_size(keys); i++) {
        flk_err_t err = add_entry(keyring, json_array_get(keys, i), allow_weak, errmsg);
        if (err != FLK_OK) {
            char place[40];
            snprintf(place, sizeof place, "keys[%zu]", i);
            flk_errmsg_prefix(errmsg, place);
            return err;
        }
    }
    return FLK_OK;
}

/* jansson frees its texts as they are. */
static void wipe(json_t *root) {
    size_t i;
    json_t *object;
    json_array_foreach(json_object_get(root, "keys"), i, object) {
        json_t *key = json_object_get(object, "key");
        if (json_is_string(key)) {
            sodium_memzero((char *)json_string_value(key), json_string_length(key));
        }
    }
}

static bool has_secret(const flk_keyring_t *keyring, size_t first) {
    for (size_t i = first; i < keyring->keys_len; i++) {
        if (keyring->keys[i].alg == FLK_SIGN_HMAC) {
            return true;
        }
    }
    return false;
}

flk_err_t flk_keyring_add_text(flk_keyring_t *keyring, const char *text, size_t text_bytes, mode_t mode,
                               bool allow_weak, char *errmsg) {
    size_t first = keyring->keys_len;
    json_error_t error;
    json_t *root = json_loadb(text, text_bytes, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) { /* error.text may quote the file */
        flk_errmsg(errmsg, "line %d, column %d: not JSON, or a member stands twice", error.line, error.column);
        return FLK_E_CONFIG;
    }
    flk_err_t err = add_entries(keyring, root, allow_weak, errmsg);
    wipe(root);
    json_decref(root);
    if (err == FLK_OK && (mode & RIGHTS_TOO_WIDE) != 0 && has_secret(keyring, first)) {
        flk_errmsg(errmsg, "holds secrets and has the rights %04o; chmod 0600 it", (unsigned)(mode & 07777));
        return FLK_E_CONFIG;
    }
    return err;
}

/* Bytes read, up to text_max; -1 with errmsg filled. */
static ssize_t read_file(const char *path, char *text, size_t text_max, mode_t *mode, char *errmsg) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        flk_errmsg(errmsg, "cannot open: %s", strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    size_t len = 0;
    ssize_t got = 1;
    while (len < text_max && got > 0) {
        got = read(fd, text + len, text_max - len);
        len += got > 0 ? (size_t)got : 0;
        got = got < 0 && errno == EINTR ? 1 : got;
    }
    if (got < 0) {
        flk_errmsg(errmsg, "cannot read: %s", strerror(errno));
    }
    close(fd);
    *mode = status.st_mode;
    return got < 0 ? -1 : (ssize_t)len;
}

static flk_err_t read_and_add(flk_keyring_t *keyring, const char *path, bool allow_weak, char *text, char *errmsg) {
    mode_t mode;
    ssize_t text_bytes = read_file(path, text, FILE_BYTES_MAX + 1, &mode, errmsg);
    if (text_bytes < 0) {
        return FLK_E_CONFIG;
    }
    if (text_bytes > FILE_BYTES_MAX) {
        flk_errmsg(errmsg, "is larger than %d bytes", FILE_BYTES_MAX);
        return FLK_E_CONFIG;
    }
    return flk_keyring_add_text(keyring, text, (size_t)text_bytes, mode, allow_weak, errmsg);
}

flk_err_t flk_keyring_add_file(flk_keyring_t *keyring, const char *path, bool allow_weak, char *errmsg) {
    char *text = flk_secret_alloc(FILE_BYTES_MAX + 1);
    if (text == NULL) {
        return flk_key_no_memory(errmsg);
    }
    flk_err_t err = read_and_add(keyring, path, allow_weak, text, errmsg);
    sodium_free(text);
    if (err != FLK_OK) {
        char place[FLK_ERRMSG_BYTES / 2];
        snprintf(place, sizeof place, "PCS_KEYRING_FILE: %s", path);
        flk_errmsg_prefix(errmsg, place);
    }
    return err;
}
