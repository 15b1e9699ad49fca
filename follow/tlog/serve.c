/* SPDX-License-Identifier: MIT */
#include "follow/tlog/serve.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/tlog/tiles.h"

#define PREFIX "/tlog/"

enum { LOG_HEX = 16 };

/* The file that the path names, of those that are public. */
static bool find_file(const char *dir, const char *path, char file[PATH_MAX], const char **type) {
    flk_tlog_tile_t tile;
    const char *log = path + strlen(PREFIX), *name = log + LOG_HEX + 1;
    if (strspn(log, "0123456789abcdef") != LOG_HEX || log[LOG_HEX] != '/') {
        return false;
    }
    bool is_checkpoint = strcmp(name, FLK_TLOG_CHECKPOINT_PATH) == 0;
    if (!is_checkpoint && !flk_tlog_tile_parse(name, &tile)) {
        return false;
    }
    *type = is_checkpoint ? "text/plain; charset=utf-8" : "application/octet-stream";
    return snprintf(file, PATH_MAX, "%s/%s", dir, log) < PATH_MAX;
}

static void serve(flk_http_request_t *request, void *arg) {
    char file[PATH_MAX], errmsg[FLK_ERRMSG_BYTES] = "", *data;
    const char *type;
    size_t data_bytes;
    const flk_tlog_pages_t *pages = arg;
    flk_err_t err = FLK_E_NOT_FOUND;
    if (pages->closed_why != NULL) {
        flk_http_send_problem(request, &(flk_http_answer_t){.status = 403}, pages->closed_why, NULL);
        return;
    }
    if (!flk_admin_let_in(pages->admin, request)) {
        return; /* it is answered */
    }
    if (find_file(pages->dir, flk_http_request_head(request)->path, file, &type)) {
        err = flk_io_read_own(file, FLK_TLOG_BUNDLE_BYTES_MAX, &data, &data_bytes, errmsg);
    }
    if (err != FLK_OK) {
        bool absent = err == FLK_E_NOT_FOUND;
        const flk_http_answer_t answer = {.status = absent ? 404 : 503, .retry_after_s = absent ? 0 : 1};
        flk_http_send_problem(request, &answer, absent ? "there is no such file of a log" : errmsg, NULL);
        return;
    }
    flk_http_send(request,
                  &(flk_http_answer_t){.status = 200, .content_type = type, .body = data, .body_bytes = data_bytes});
    free(data);
}

flk_http_route_t flk_tlog_route(const flk_tlog_pages_t *pages) {
    return (flk_http_route_t){.path = PREFIX,
                              .methods = "GET, HEAD",
                              .handler = serve,
                              .arg = (void *)(uintptr_t)pages,
                              .match = FLK_HTTP_BELOW};
}
