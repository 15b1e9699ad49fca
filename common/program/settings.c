/* SPDX-License-Identifier: MIT */
/* Loading: refuse unknown names -> for each setting of this program take the variable, else the file that NAME_FILE
 * names, else the default -> check it by its type -> check values that belong together -> refuse names that are a slip
 * away from a setting.
 *
 * Everything that is wrong ends in one line of errmsg and FLK_E_CONFIG; nothing is read later, so a program that has
 * started never fails over a setting. An empty text counts as unset (`NAME: ${NAME:-}` gives one); an empty
 * number, switch or choice is refused like any other wrong one. */
#include "common/program/settings.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/listen.h"
#include "common/program/settings_names.h"
#include "common/program/settings_row.h"
#include "common/secret.h"

enum { FILE_BYTES_MAX = 65536, NAME_BYTES = 64 };

struct flk_settings {
    flk_program_t program;
    char *values[FLK_SETTINGS_COUNT]; /* NULL: another program's */
    uint64_t uints[FLK_SETTINGS_COUNT];
};

/* ---- values ---- */

/* The file's content without one trailing newline. Not by common/io: that refuses symbolic links, and a mounted
 * Kubernetes secret is one. */
static flk_err_t read_value_file(const char *setting, const char *path, char **value, char *errmsg) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        flk_errmsg(errmsg, "%s_FILE: cannot open %s: %s", setting, path, strerror(errno));
        return FLK_E_CONFIG;
    }
    char *text = flk_start_alloc(FILE_BYTES_MAX + 2);
    size_t bytes = fread(text, 1, FILE_BYTES_MAX + 1, file);
    const char *problem = ferror(file)                     ? "cannot be read"
                          : bytes > FILE_BYTES_MAX         ? "is larger than 64 KiB"
                          : memchr(text, 0, bytes) != NULL ? "holds a NUL byte"
                                                           : NULL;
    fclose(file);
    if (problem != NULL) {
        sodium_memzero(text, bytes);
        free(text);
        flk_errmsg(errmsg, "%s_FILE: %s %s", setting, path, problem);
        return FLK_E_CONFIG;
    }
    if (bytes > 0 && text[bytes - 1] == '\n') {
        text[--bytes] = '\0';
    }
    *value = text;
    return FLK_OK;
}

static char *start_copy(const char *text) {
    char *copy = flk_start_alloc(strlen(text) + 1);
    return strcpy(copy, text);
}

static flk_err_t find_value(const flk_setting_row_t *row, flk_program_t program, char **value, char *errmsg) {
    char file_name[NAME_BYTES + sizeof "_FILE"];
    snprintf(file_name, sizeof file_name, "%s_FILE", row->name);
    const char *direct = getenv(row->name);
    const char *path = getenv(file_name);
    bool is_text = row->type == FLK_SETTING_STR || row->type == FLK_SETTING_SECRET;
    bool has_direct = direct != NULL && (direct[0] != '\0' || !is_text);
    bool has_path = path != NULL && path[0] != '\0';
    if (has_direct && has_path) {
        flk_errmsg(errmsg, "%s and %s are both set; set one of them", row->name, file_name);
        return FLK_E_CONFIG;
    }
    if (has_path) {
        return read_value_file(row->name, path, value, errmsg);
    }
    *value = start_copy(has_direct ? direct : flk_setting_default(row, program));
    return FLK_OK;
}

static bool parse_uint(const char *text, uint64_t *value) {
    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0') {
        return false;
    }
    errno = 0;
    *value = strtoull(text, NULL, 10);
    return errno == 0;
}

static flk_err_t check_uint(const flk_setting_row_t *row, const char *value, uint64_t *parsed, char *errmsg) {
    static const char word[] = "auto|";
    const bool has_word = strncmp(row->limits, word, sizeof word - 1) == 0;
    unsigned long long min, max;
    FLK_ASSERT(sscanf(row->limits + (has_word ? sizeof word - 1 : 0), "%llu..%llu", &min, &max) == 2);
    if (has_word && strcmp(value, "auto") == 0) {
        *parsed = FLK_SETTING_AUTO;
        return FLK_OK;
    }
    if (!parse_uint(value, parsed) || *parsed < min || *parsed > max) {
        flk_errmsg(errmsg, "%s: '%.64s' is not a whole number in %s (%s)", row->name, value, row->limits, row->unit);
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

static flk_err_t check_bool(const flk_setting_row_t *row, const char *value, uint64_t *parsed, char *errmsg) {
    *parsed = strcmp(value, "1") == 0 || strcmp(value, "true") == 0;
    if (*parsed == 0 && strcmp(value, "0") != 0 && strcmp(value, "false") != 0) {
        flk_errmsg(errmsg, "%s: '%.64s' is not one of 0, 1, true, false", row->name, value);
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

static flk_err_t check_enum(const flk_setting_row_t *row, const char *value, char *errmsg) {
    size_t value_len = strlen(value);
    for (const char *choice = row->limits; *choice != '\0';) {
        size_t choice_len = strcspn(choice, "|");
        if (choice_len == value_len && memcmp(choice, value, value_len) == 0) {
            return FLK_OK;
        }
        choice += choice_len + (choice[choice_len] == '|');
    }
    flk_errmsg(errmsg, "%s: '%.64s' is not one of %s", row->name, value, row->limits);
    return FLK_E_CONFIG;
}

/* "off" where the unit says so. */
static flk_err_t check_listen(const flk_setting_row_t *row, const char *value, char *errmsg) {
    flk_listen_t listen;
    char why[FLK_ERRMSG_BYTES], shown[FLK_SETTING_SHOWN_BYTES];
    bool may_be_off = strstr(row->unit, " or off") != NULL;
    if ((may_be_off && strcmp(value, "off") == 0) || flk_listen_parse(value, &listen, why) == FLK_OK) {
        return FLK_OK;
    }
    flk_errmsg(errmsg, "%s: '%.64s': %s", row->name, flk_setting_shown(row, value, shown), why);
    return FLK_E_CONFIG;
}

static flk_err_t check_value(const flk_setting_row_t *row, const char *value, uint64_t *parsed, char *errmsg) {
    switch (row->type) {
    case FLK_SETTING_UINT:
        return check_uint(row, value, parsed, errmsg);
    case FLK_SETTING_BOOL:
        return check_bool(row, value, parsed, errmsg);
    case FLK_SETTING_ENUM:
        return check_enum(row, value, errmsg);
    case FLK_SETTING_STR:
        return strncmp(row->unit, "host:port", 9) == 0 ? check_listen(row, value, errmsg) : FLK_OK;
    case FLK_SETTING_SECRET:
        break;
    }
    return FLK_OK;
}

/* Bytes that a key of the setting must have; 0: it is none, or not used. */
static size_t key_bytes_min(const flk_settings_t *settings, size_t id) {
    const char *alg = settings->values[FLK_SET_SIGN_ALG];
    bool is_key = id == FLK_SET_HMAC_KEY || id == FLK_SET_HMAC_KEYS;
    return is_key && alg != NULL && strcmp(alg, "hmac") == 0 ? FLK_SECRET_KEY_BYTES_MIN : 0;
}

static flk_err_t check_secret(const flk_settings_t *settings, size_t id, char *errmsg) {
    const char *name = flk_setting_rows[id].name, *value = settings->values[id];
    size_t bytes_min = key_bytes_min(settings, id);
    size_t bytes = id == FLK_SET_HMAC_KEYS ? flk_secret_shortest(value) : strlen(value);
    if (flk_secret_is_sample(value)) {
        flk_errmsg(errmsg,
                   "%s: this is an example that documents print; draw a secret of your own, or set FLK_DEV=1 on a "
                   "developer's machine",
                   name);
        return FLK_E_CONFIG;
    }
    if (bytes > 0 && bytes < bytes_min) {
        flk_errmsg(errmsg,
                   "%s: a key of %zu bytes can be guessed, %zu are the least: draw one (openssl rand -hex 32), or set "
                   "FLK_DEV=1 on a developer's machine",
                   name, bytes, bytes_min);
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

static bool is_secret(const flk_settings_t *settings, size_t id) {
    return settings->values[id] != NULL && flk_setting_rows[id].type == FLK_SETTING_SECRET;
}

static flk_err_t check_secrets(const flk_settings_t *settings, char *errmsg) {
    flk_err_t err = FLK_OK;
    for (size_t i = 0; i < FLK_SETTINGS_COUNT && err == FLK_OK && settings->uints[FLK_SET_DEV] == 0; i++) {
        err = is_secret(settings, i) ? check_secret(settings, i, errmsg) : FLK_OK;
    }
    return err;
}

static flk_err_t check_together(const flk_settings_t *settings, char *errmsg) {
    const char *user = settings->values[FLK_SET_METRICS_USER];
    const char *pass = settings->values[FLK_SET_METRICS_PASS];
    if (user == NULL) {
        return FLK_OK; /* a program without pages of its own */
    }
    if ((user[0] == '\0') != (pass[0] == '\0')) {
        flk_errmsg(errmsg, "%s is set but %s is not; set both or neither",
                   user[0] != '\0' ? "METRICS_USER" : "METRICS_PASS",
                   user[0] != '\0' ? "METRICS_PASS" : "METRICS_USER");
        return FLK_E_CONFIG;
    }
    if (strchr(user, ':') != NULL) {
        flk_errmsg(errmsg, "METRICS_USER: '%.64s' holds a colon, which Basic Auth cannot carry", user);
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

static flk_err_t load_values(flk_settings_t *settings, char *errmsg) {
    for (size_t i = 0; i < FLK_SETTINGS_COUNT; i++) {
        const flk_setting_row_t *row = &flk_setting_rows[i];
        if ((row->programs & settings->program) == 0) {
            continue;
        }
        flk_err_t err = find_value(row, settings->program, &settings->values[i], errmsg);
        if (err == FLK_OK) {
            err = check_value(row, settings->values[i], &settings->uints[i], errmsg);
        }
        if (err != FLK_OK) {
            return err;
        }
    }
    flk_err_t err = check_secrets(settings, errmsg);
    err = err == FLK_OK ? check_together(settings, errmsg) : err;
    return err == FLK_OK ? flk_settings_check_slips(settings->program, errmsg) : err;
}

flk_err_t flk_settings_load(flk_program_t program, flk_settings_t **settings, char *errmsg) {
    *settings = NULL;
    flk_err_t err = flk_settings_check_names(errmsg);
    if (err != FLK_OK) {
        return err;
    }
    flk_settings_t *loaded = flk_start_alloc(sizeof *loaded);
    loaded->program = program;
    err = load_values(loaded, errmsg);
    if (err != FLK_OK) {
        flk_settings_destroy(&loaded);
        return err;
    }
    *settings = loaded;
    return FLK_OK;
}

void flk_settings_destroy(flk_settings_t **settings) {
    if (*settings == NULL) {
        return;
    }
    for (size_t i = 0; i < FLK_SETTINGS_COUNT; i++) {
        char *value = (*settings)->values[i];
        if (value != NULL && flk_setting_rows[i].type == FLK_SETTING_SECRET) {
            sodium_memzero(value, strlen(value));
        }
        free(value);
    }
    free(*settings);
    *settings = NULL;
}

/* ---- asking ---- */

flk_program_t flk_settings_program(const flk_settings_t *settings) {
    return settings->program;
}

size_t flk_settings_files(const flk_settings_t *settings, const char **paths, size_t paths_max) {
    size_t count = 0;
    for (size_t i = 0; i < FLK_SETTINGS_COUNT && count < paths_max; i++) {
        char name[NAME_BYTES + sizeof "_FILE"];
        snprintf(name, sizeof name, "%s_FILE", flk_setting_rows[i].name);
        const char *path = (flk_setting_rows[i].programs & settings->program) != 0 ? getenv(name) : NULL;
        if (path != NULL && path[0] != '\0') {
            paths[count++] = path;
        }
    }
    return count;
}

static void assert_readable(const flk_settings_t *settings, flk_setting_id_t id, unsigned types) {
    FLK_ASSERT(id < FLK_SETTINGS_COUNT && settings->values[id] != NULL);
    FLK_ASSERT((types & 1u << flk_setting_rows[id].type) != 0);
}

const char *flk_settings_str(const flk_settings_t *settings, flk_setting_id_t id) {
    assert_readable(settings, id, 1u << FLK_SETTING_STR | 1u << FLK_SETTING_ENUM | 1u << FLK_SETTING_SECRET);
    return settings->values[id];
}

uint64_t flk_settings_uint(const flk_settings_t *settings, flk_setting_id_t id) {
    assert_readable(settings, id, 1u << FLK_SETTING_UINT);
    return settings->uints[id];
}

const char *flk_settings_blank_secret(const flk_settings_t *settings, size_t index) {
    for (size_t i = 0; i < FLK_SETTINGS_COUNT; i++) {
        if (is_secret(settings, i) && flk_secret_has_blank_end(settings->values[i]) && index-- == 0) {
            return flk_setting_rows[i].name;
        }
    }
    return NULL;
}

bool flk_settings_bool(const flk_settings_t *settings, flk_setting_id_t id) {
    assert_readable(settings, id, 1u << FLK_SETTING_BOOL);
    return settings->uints[id] != 0;
}

size_t flk_settings_each(const char *list, flk_settings_item_fn *fn, void *arg) {
    size_t count = 0;
    char *copy = start_copy(list);
    char *rest = copy;
    for (char *item = strsep(&rest, ","); item != NULL; item = strsep(&rest, ",")) {
        item += strspn(item, " \t");
        size_t len = strlen(item);
        while (len > 0 && (item[len - 1] == ' ' || item[len - 1] == '\t')) {
            item[--len] = '\0';
        }
        if (len > 0) {
            fn(arg, item, count++);
        }
    }
    sodium_memzero(copy, strlen(list)); /* lists of keys pass here too */
    free(copy);
    return count;
}
