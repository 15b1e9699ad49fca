/* SPDX-License-Identifier: MIT */
/* Read the unit's files (unit_file.c) -> clear our settings -> set the variables of Environment=, then of each
 * EnvironmentFile. A file that the unit marks with '-' may be missing, but not unreadable: systemd could read it. */
#include "agent/flk/unit.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/flk/env_text.h"
#include "agent/flk/unit_file.h"
#include "common/io.h"
#include "common/program/settings_row.h"

enum { FILE_BYTES_MAX = 1 << 20 };

static char entered_program[32], entered_name[FLK_UNIT_NAME_BYTES];

/* ---- this process' environment ---- */

static bool is_setting(const char *name, size_t len) {
    len -= len > 5 && memcmp(name + len - 5, "_FILE", 5) == 0 ? 5 : 0;
    bool known = strncmp(name, "FLK_", 4) == 0;
    for (size_t i = 0; !known && i < FLK_SETTINGS_COUNT; i++) {
        known = strlen(flk_setting_rows[i].name) == len && memcmp(flk_setting_rows[i].name, name, len) == 0;
    }
    return known;
}

static void clear_settings(void) {
    for (size_t i = 0; environ[i] != NULL;) {
        size_t len = strcspn(environ[i], "=");
        char *name = is_setting(environ[i], len) ? strndup(environ[i], len) : NULL;
        if (name != NULL) {
            unsetenv(name); /* the words behind it move here */
            free(name);
        } else {
            i++;
        }
    }
}

static void set_one(void *arg, const char *name, const char *value) {
    (void)arg;
    setenv(name, value, 1);
}

static flk_err_t read_environment_file(const flk_unit_file_t *unit, const char *path, char *errmsg) {
    bool may_be_missing = path[0] == '-';
    char *text;
    size_t text_bytes;
    path += may_be_missing;
    if (may_be_missing && access(path, F_OK) != 0 && errno == ENOENT) {
        return FLK_OK;
    }
    flk_err_t err = flk_io_read_file(path, FILE_BYTES_MAX, &text, &text_bytes, errmsg);
    if (err != FLK_OK) {
        char reason[FLK_ERRMSG_BYTES];
        snprintf(reason, sizeof reason, "%s", errmsg);
        flk_errmsg(errmsg, "%s: %.160s%s", unit->name, reason,
                   geteuid() != 0 ? "; run this as root or in the group flk" : "");
        return err;
    }
    flk_env_text_lines(text, set_one, NULL);
    free(text);
    return FLK_OK;
}

flk_err_t flk_unit_enter(const char *name, char *errmsg) {
    flk_unit_file_t *unit = flk_start_alloc(sizeof *unit);
    flk_err_t err = flk_unit_file_read(name, unit, errmsg);
    if (err == FLK_OK) {
        clear_settings();
        flk_env_text_words(unit->words, set_one, NULL);
    }
    for (size_t i = 0; i < unit->files_len && err == FLK_OK; i++) {
        err = read_environment_file(unit, unit->files[i], errmsg);
    }
    snprintf(entered_program, sizeof entered_program, "%s", err == FLK_OK ? unit->program : "");
    snprintf(entered_name, sizeof entered_name, "%s", err == FLK_OK ? unit->name : "");
    free(unit);
    return err;
}

const char *flk_unit_program(void) {
    return entered_program;
}

const char *flk_unit_name(void) {
    return entered_name;
}

/* ---- the units that are wanted ---- */

typedef struct list {
    char (*names)[FLK_UNIT_NAME_BYTES];
    size_t len;
} list_t;

static void add_unit(list_t *list, const char *name, size_t len) {
    static const char *const daemons[] = {"flk-gateway", "flk-broker", "flk-worker"};
    bool ours = len > 8 && len - 8 < FLK_UNIT_NAME_BYTES && memcmp(name + len - 8, ".service", 8) == 0;
    bool daemon = false;
    for (size_t i = 0; ours && i < FLK_COUNT_OF(daemons); i++) {
        size_t stem = strlen(daemons[i]);
        daemon |= len > stem && strncmp(name, daemons[i], stem) == 0 && (name[stem] == '.' || name[stem] == '@');
    }
    for (size_t i = 0; daemon && i < list->len; i++) {
        daemon = strlen(list->names[i]) != len - 8 || memcmp(list->names[i], name, len - 8) != 0;
    }
    if (daemon && list->len < FLK_UNITS_MAX) {
        snprintf(list->names[list->len++], FLK_UNIT_NAME_BYTES, "%.*s", (int)(len - 8), name);
    }
}

/* Names in the links of DIR/ANY.target.wants, and in Wants= and Requires= of DIR/flk.target. */
static void add_wanted(list_t *list, const char *dir) {
    char path[PATH_MAX], *text;
    size_t text_bytes;
    DIR *listing = opendir(dir);
    for (struct dirent *entry; listing != NULL && (entry = readdir(listing)) != NULL;) {
        if (strstr(entry->d_name, ".target.") == NULL) {
            continue;
        }
        snprintf(path, sizeof path, "%.3000s/%s", dir, entry->d_name);
        DIR *links = opendir(path);
        for (struct dirent *link; links != NULL && (link = readdir(links)) != NULL;) {
            add_unit(list, link->d_name, strlen(link->d_name));
        }
        if (links != NULL) {
            closedir(links);
        }
    }
    if (listing != NULL) {
        closedir(listing);
    }
    snprintf(path, sizeof path, "%.3000s/flk.target", dir);
    if (flk_io_read_file(path, FILE_BYTES_MAX, &text, &text_bytes, NULL) == FLK_OK) {
        for (const char *at = text; *at != '\0';) {
            size_t len = strcspn(at, " \t\n=");
            add_unit(list, at, len);
            at += len + (at[len] != '\0');
        }
        free(text);
    }
}

static int by_text(const void *a, const void *b) {
    return strcmp(a, b);
}

size_t flk_unit_list(char names[FLK_UNITS_MAX][FLK_UNIT_NAME_BYTES]) {
    list_t list = {.names = names};
    flk_unit_dirs_t dirs;
    flk_unit_dirs_find(&dirs);
    for (size_t d = 0; d < dirs.len; d++) {
        add_wanted(&list, dirs.paths[d]);
    }
    qsort(names, list.len, sizeof names[0], by_text);
    return list.len;
}
