/* SPDX-License-Identifier: MIT */
#include "agent/flk/unit_file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"

enum { FILE_BYTES_MAX = 1 << 20 };

/* ---- where units are ---- */

static void add_dirs(flk_unit_dirs_t *dirs, const char *list) {
    while (*list != '\0' && dirs->len < FLK_UNIT_DIRS_MAX) {
        size_t len = strcspn(list, ":");
        if (len > 0) {
            snprintf(dirs->paths[dirs->len++], PATH_MAX, "%.*s", (int)len, list);
        }
        list += len + (list[len] == ':');
    }
}

void flk_unit_dirs_find(flk_unit_dirs_t *dirs) {
    const char *own = getenv("SYSTEMD_UNIT_PATH");
    size_t own_len = own != NULL ? strlen(own) : 0;
    dirs->len = 0;
    if (own_len > 0) {
        add_dirs(dirs, own);
    }
    if (own_len == 0 || own[own_len - 1] == ':') {
        add_dirs(dirs, "/etc/systemd/system:/run/systemd/system:/usr/local/lib/systemd/system:/usr/lib/systemd/system:"
                       "/lib/systemd/system");
    }
}

/* ---- one unit's file and drop-ins ---- */

static void expand(const flk_unit_file_t *unit, const char *text, char *out, size_t out_bytes) {
    size_t len = 0;
    for (; *text != '\0' && len + 1 < out_bytes; text++) {
        char one[2] = {*text, '\0'};
        const char *part = one;
        if (*text == '%') {
            switch (text[1]) {
            case 'i':
            case 'I':
                part = unit->instance;
                break;
            case 'n':
            case 'N':
                part = unit->name;
                break;
            case 'p':
            case 'P':
                part = unit->prefix;
                break;
            case '%':
                break;
            default:
                text--; /* not ours to know: stays as it is */
                break;
            }
            text++;
        }
        len += (size_t)snprintf(out + len, out_bytes - len, "%s", part);
    }
    out[len < out_bytes ? len : out_bytes - 1] = '\0';
}

static void take_exec(flk_unit_file_t *unit, const char *value) {
    static const char marks[] = "@-:+!";
    value += strspn(value, marks);
    size_t len = strcspn(value, " \t");
    const char *slash = memrchr(value, '/', len);
    const char *name = slash != NULL ? slash + 1 : value;
    if (strncmp(name, "flk-", 4) == 0) {
        snprintf(unit->program, sizeof unit->program, "%.*s", (int)(value + len - name) - 4, name + 4);
    }
}

static flk_err_t take_setting(flk_unit_file_t *unit, const char *key, const char *value, char *errmsg) {
    if (strcmp(key, "Environment") == 0) {
        size_t len = value[0] != '\0' ? strlen(unit->words) : 0; /* an empty one forgets those before it */
        unit->words[len] = '\0';
        expand(unit, value, unit->words + len, sizeof unit->words - len - 2);
        strcat(unit->words, " ");
    } else if (strcmp(key, "EnvironmentFile") == 0) {
        unit->files_len = value[0] != '\0' ? unit->files_len : 0;
        if (unit->files_len == FLK_UNIT_FILES_MAX) {
            flk_errmsg(errmsg, "%s: it has more than %d EnvironmentFile=", unit->name, FLK_UNIT_FILES_MAX);
            return FLK_E_CONFIG;
        }
        if (value[0] != '\0') {
            expand(unit, value, unit->files[unit->files_len++], PATH_MAX);
        }
    } else if (strcmp(key, "ExecStart") == 0) {
        take_exec(unit, value);
    }
    return FLK_OK;
}

/* Takes `line` apart, NUL-terminated and without blanks at its ends. */
static flk_err_t take_line(flk_unit_file_t *unit, char *line, bool *in_service, char *errmsg) {
    line += strspn(line, " \t");
    size_t len = strlen(line);
    while (len > 0 && strchr(" \t\r", line[len - 1]) != NULL) {
        line[--len] = '\0';
    }
    char *equals = strchr(line, '=');
    if (line[0] == '[') {
        *in_service = strcmp(line, "[Service]") == 0;
    } else if (*in_service && line[0] != '#' && line[0] != ';' && equals != NULL) {
        size_t key_len = (size_t)(equals - line);
        while (key_len > 0 && strchr(" \t", line[key_len - 1]) != NULL) {
            key_len--;
        }
        line[key_len] = '\0';
        return take_setting(unit, line, equals + 1 + strspn(equals + 1, " \t"), errmsg);
    }
    return FLK_OK;
}

static flk_err_t read_unit_file(flk_unit_file_t *unit, const char *path, char *errmsg) {
    char *text;
    size_t text_bytes;
    bool in_service = false;
    flk_err_t err = flk_io_read_file(path, FILE_BYTES_MAX, &text, &text_bytes, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    for (char *joint; (joint = strstr(text, "\\\n")) != NULL;) {
        joint[0] = joint[1] = ' ';
    }
    for (char *line = text, *end; err == FLK_OK && *line != '\0'; line = end) {
        end = line + strcspn(line, "\n");
        bool last = *end == '\0';
        *end = '\0';
        err = take_line(unit, line, &in_service, errmsg);
        end += !last;
    }
    free(text);
    return err;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static flk_err_t read_drop_ins(flk_unit_file_t *unit, const char *dir, const char *file, char *errmsg) {
    char path[PATH_MAX], *names[FLK_UNIT_FILES_MAX];
    size_t len = 0;
    flk_err_t err = FLK_OK;
    snprintf(path, sizeof path, "%.3000s/%s.d", dir, file);
    DIR *listing = opendir(path);
    for (struct dirent *entry; listing != NULL && len < FLK_UNIT_FILES_MAX && (entry = readdir(listing)) != NULL;) {
        size_t name_len = strlen(entry->d_name);
        if (name_len > 5 && strcmp(entry->d_name + name_len - 5, ".conf") == 0) {
            names[len] = strdup(entry->d_name);
            FLK_ASSERT(names[len] != NULL);
            len++;
        }
    }
    if (listing != NULL) {
        closedir(listing);
    }
    qsort(names, len, sizeof names[0], by_name);
    for (size_t i = 0; i < len; i++) {
        snprintf(path, sizeof path, "%.3000s/%s.d/%s", dir, file, names[i]);
        err = err == FLK_OK ? read_unit_file(unit, path, errmsg) : err;
        free(names[i]);
    }
    return err;
}

/* The file of the unit, or of its template; false when there is none. */
static bool find_file(const flk_unit_dirs_t *dirs, const char *const names[2], char path[PATH_MAX]) {
    for (size_t i = 0; i < 2; i++) {
        for (size_t d = 0; d < dirs->len; d++) {
            snprintf(path, PATH_MAX, "%.3000s/%s", dirs->paths[d], names[i]);
            if (access(path, F_OK) == 0) {
                return true;
            }
        }
    }
    return false;
}

static flk_err_t name_unit(flk_unit_file_t *unit, const char *name, char *errmsg) {
    size_t len = strlen(name);
    len -= len > 8 && strcmp(name + len - 8, ".service") == 0 ? 8 : 0;
    if (len == 0 || len >= sizeof unit->name || strncmp(name, "flk-", 4) != 0 || strchr(name, '/') != NULL) {
        flk_errmsg(errmsg, "--unit: '%.100s' is no unit of flk, as flk-gateway or flk-worker@8082", name);
        return FLK_E_CONFIG;
    }
    snprintf(unit->name, sizeof unit->name, "%.*s", (int)len, name);
    size_t prefix_len = strcspn(unit->name, "@");
    snprintf(unit->prefix, sizeof unit->prefix, "%.*s", (int)prefix_len, unit->name);
    snprintf(unit->instance, sizeof unit->instance, "%s", unit->name + prefix_len + (unit->name[prefix_len] == '@'));
    return FLK_OK;
}

static flk_err_t read_files(flk_unit_file_t *unit, char *errmsg) {
    char own[FLK_UNIT_NAME_BYTES + 16], template[FLK_UNIT_NAME_BYTES + 16], path[PATH_MAX];
    flk_unit_dirs_t dirs;
    flk_unit_dirs_find(&dirs);
    snprintf(own, sizeof own, "%s.service", unit->name);
    snprintf(template, sizeof template, "%s@.service", unit->prefix);
    const char *const names[2] = {own, unit->instance[0] != '\0' ? template : own};
    if (!find_file(&dirs, names, path)) {
        flk_errmsg(errmsg, "--unit: this host has no unit %s; its units have names as flk-gateway or flk-worker@8082",
                   own);
        return FLK_E_NOT_FOUND;
    }
    flk_err_t err = read_unit_file(unit, path, errmsg);
    for (size_t d = dirs.len; d-- > 0 && err == FLK_OK;) {
        err = names[1] != own ? read_drop_ins(unit, dirs.paths[d], template, errmsg) : FLK_OK;
        err = err == FLK_OK ? read_drop_ins(unit, dirs.paths[d], own, errmsg) : err;
    }
    return err;
}

flk_err_t flk_unit_file_read(const char *name, flk_unit_file_t *unit, char *errmsg) {
    *unit = (flk_unit_file_t){0};
    flk_err_t err = name_unit(unit, name, errmsg);
    return err == FLK_OK ? read_files(unit, errmsg) : err;
}
