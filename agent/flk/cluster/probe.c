/* SPDX-License-Identifier: MIT */
#include "agent/flk/cluster/probe.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/program/program.h"

enum { BODY_BYTES_MAX = 4 << 20 };

static size_t on_data(char *data, size_t unit, size_t count, void *arg) {
    FILE *body = arg;
    size_t bytes = unit * count;
    bool fits = ftell(body) + (long)bytes <= BODY_BYTES_MAX;
    return fits ? fwrite(data, 1, bytes, body) : 0;
}

/* A signal to stop ends a wait for an answer. */
static int on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up) {
    (void)arg, (void)down_total, (void)down, (void)up_total, (void)up;
    return flk_program_stop_asked();
}

/* Makes the request that `curl` is set up for, within timeout_ms. Takes curl. */
static flk_err_t fetch(CURL *curl, const char *address, const char *path, unsigned timeout_ms, flk_probe_t *probe) {
    char url[512];
    size_t body_bytes;
    *probe = (flk_probe_t){.date_s = -1};
    FILE *body = open_memstream(&probe->body, &body_bytes);
    if (curl != NULL && body != NULL) {
        snprintf(url, sizeof url, "%s%s%s", strstr(address, "://") != NULL ? "" : "http://", address, path);
        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
        if (curl_easy_perform(curl) == CURLE_OK) {
            struct curl_header *date, *after;
            curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &probe->status);
            if (curl_easy_header(curl, "Date", 0, CURLH_HEADER, -1, &date) == CURLHE_OK) {
                probe->date_s = curl_getdate(date->value, NULL);
            }
            if (curl_easy_header(curl, "Flk-After", 0, CURLH_HEADER, -1, &after) == CURLHE_OK) {
                probe->after = strtoull(after->value, NULL, 10);
            }
        }
    }
    curl_easy_cleanup(curl);
    if (body != NULL) {
        fclose(body);
    }
    return curl != NULL && probe->body != NULL ? FLK_OK : FLK_E_NOMEM;
}

flk_err_t flk_probe_get(const char *address, const char *path, const char *user, const char *pass, unsigned timeout_ms,
                        flk_probe_t *probe) {
    CURL *curl = curl_easy_init();
    if (curl != NULL && user[0] != '\0') {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERNAME, user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, pass);
    }
    return fetch(curl, address, path, timeout_ms, probe);
}

flk_err_t flk_probe_post(const char *address, const char *path, const char *body, unsigned timeout_ms,
                         flk_probe_t *probe) {
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (curl != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    }
    flk_err_t err = fetch(curl, address, path, timeout_ms, probe);
    curl_slist_free_all(headers);
    return err;
}

void flk_probe_fini(flk_probe_t *probe) {
    free(probe->body);
    probe->body = NULL;
}

void flk_probe_reason(const flk_probe_t *probe, char *why) {
    json_t *page = json_loads(probe->body, 0, NULL);
    const char *reason = json_string_value(json_object_get(page, "reason"));
    flk_errmsg(why, "%s", probe->status == 0 ? "no answer" : reason != NULL ? reason : "");
    json_decref(page);
    for (char *at = why; *at != '\0'; at++) { /* a stranger on that port steers no terminal */
        *at = *at >= ' ' && *at <= '~' ? *at : '?';
    }
}

/* The value of `line` when it is a sample of `name` with `label`. */
static bool read_sample(const char *line, size_t line_len, const char *name, const char *label, double *value) {
    size_t name_len = strlen(name);
    if (line_len <= name_len || memcmp(line, name, name_len) != 0 || (line[name_len] != '{' && line[name_len] != ' ')) {
        return false;
    }
    if (label != NULL && memmem(line, line_len, label, strlen(label)) == NULL) {
        return false;
    }
    const char *space = memrchr(line, ' ', line_len);
    return space != NULL && sscanf(space, "%lf", value) == 1;
}

bool flk_probe_metric(const char *page, const char *name, const char *label, double *sum) {
    bool found = false;
    *sum = 0;
    for (const char *line = page; *line != '\0';) {
        size_t line_len = strcspn(line, "\n");
        double value;
        if (read_sample(line, line_len, name, label, &value)) {
            found = true;
            *sum += value;
        }
        line += line_len + (line[line_len] == '\n');
    }
    return found;
}
