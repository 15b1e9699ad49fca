/* SPDX-License-Identifier: MIT */
#include "agent/flk/cluster/cluster_file.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"

enum { FORMAT = 1, FILE_BYTES_MAX = 1 << 20, PATH_BYTES = PATH_MAX + 16 };

static void file_path(const char *data_dir, char path[PATH_BYTES]) {
    snprintf(path, PATH_BYTES, "%s/cluster.json", data_dir);
}

static json_t *child_to_json(const flk_child_t *child) {
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:I, s:I}", "name", child->name, "program", child->program, "pid",
                     (json_int_t)child->pid, "address", child->address, "log", child->log_path, "restarts",
                     (json_int_t)child->restarts, "started_ms", (json_int_t)child->started_wall_ms);
}

flk_err_t flk_cluster_file_write(const flk_cluster_t *cluster, char *errmsg) {
    json_t *members = json_array();
    for (size_t i = 0; i < cluster->children_len; i++) {
        json_array_append_new(members, child_to_json(&cluster->children[i]));
    }
    json_t *root = json_pack("{s:i, s:s, s:I, s:I, s:s, s:s, s:o}", "format", FORMAT, "version", FLK_VERSION, "pid",
                             (json_int_t)getpid(), "started_ms", (json_int_t)cluster->children[0].started_wall_ms,
                             "http", cluster->http, "zmq", cluster->zmq, "members", members);
    char *text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (text == NULL) {
        flk_errmsg(errmsg, "%s", flk_err_text(FLK_E_NOMEM));
        return FLK_E_NOMEM;
    }
    char path[PATH_BYTES];
    file_path(cluster->data_dir, path);
    flk_err_t err = flk_io_replace(path, text, strlen(text), errmsg);
    free(text);
    return err;
}

void flk_cluster_file_remove(const flk_cluster_t *cluster) {
    char path[PATH_BYTES];
    file_path(cluster->data_dir, path);
    unlink(path);
}

static void copy_string(const json_t *object, const char *key, char *out, size_t out_bytes) {
    const char *text = json_string_value(json_object_get(object, key));
    snprintf(out, out_bytes, "%s", text != NULL ? text : "");
}

static json_int_t get_integer(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

static void read_member(const json_t *object, flk_cluster_member_t *member) {
    copy_string(object, "name", member->name, sizeof member->name);
    copy_string(object, "program", member->program, sizeof member->program);
    copy_string(object, "address", member->address, sizeof member->address);
    member->pid = (long)get_integer(object, "pid");
    member->restarts = (unsigned)get_integer(object, "restarts");
    member->started_ms = get_integer(object, "started_ms");
}

static void read_view(const json_t *root, flk_cluster_view_t *view) {
    copy_string(root, "http", view->http, sizeof view->http);
    copy_string(root, "zmq", view->zmq, sizeof view->zmq);
    view->pid = (long)get_integer(root, "pid");
    view->started_ms = get_integer(root, "started_ms");
    const json_t *members = json_object_get(root, "members");
    size_t len = json_array_size(members);
    view->members_len = len < FLK_COUNT_OF(view->members) ? len : FLK_COUNT_OF(view->members);
    for (size_t i = 0; i < view->members_len; i++) {
        read_member(json_array_get(members, i), &view->members[i]);
    }
}

flk_err_t flk_cluster_file_read(const char *data_dir, flk_cluster_view_t *view, char *errmsg) {
    char path[PATH_BYTES];
    file_path(data_dir, path);
    char *text;
    size_t text_bytes;
    flk_err_t err = flk_io_read_own(path, FILE_BYTES_MAX, &text, &text_bytes, errmsg);
    if (err == FLK_E_NOT_FOUND) {
        flk_errmsg(errmsg, "no cluster runs in %.200s; flk up starts one", data_dir);
    }
    if (err != FLK_OK) {
        return err;
    }
    json_t *root = json_loadb(text, text_bytes, 0, NULL);
    free(text);
    *view = (flk_cluster_view_t){0};
    bool ours = get_integer(root, "format") == FORMAT;
    if (ours) {
        read_view(root, view);
    } else {
        flk_errmsg(errmsg, "%.200s is not a file of this version of flk", path);
    }
    json_decref(root);
    return ours ? FLK_OK : FLK_E_CORRUPT;
}
