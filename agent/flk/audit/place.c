/* SPDX-License-Identifier: MIT */
#include "agent/flk/audit/place.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 30000, URL_BYTES = 2048 };

typedef struct sheet {
    char *data;
    size_t data_bytes, bytes_max;
} sheet_t;

static size_t on_data(char *data, size_t unit, size_t count, void *arg) {
    sheet_t *sheet = arg;
    size_t bytes = unit * count;
    if (bytes > sheet->bytes_max - sheet->data_bytes) {
        return 0;
    }
    memcpy(sheet->data + sheet->data_bytes, data, bytes);
    sheet->data_bytes += bytes;
    return bytes;
}

static flk_err_t judge(const char *url, CURLcode code, long status, char *errmsg) {
    if (code != CURLE_OK) {
        flk_errmsg(errmsg, "%.200s: %s", url,
                   code == CURLE_WRITE_ERROR ? "larger than it may be" : curl_easy_strerror(code));
        return code == CURLE_WRITE_ERROR ? FLK_E_TOO_LARGE : FLK_E_UNAVAILABLE;
    }
    if (status != 200) {
        flk_errmsg(errmsg, "%.200s: HTTP status %ld", url, status);
        return status == 404 ? FLK_E_NOT_FOUND : FLK_E_UNAVAILABLE;
    }
    return FLK_OK;
}

static flk_err_t fetch_from_url(void *arg, const char *path, size_t bytes_max, char **data, size_t *data_bytes,
                                char *errmsg) {
    flk_audit_place_t *place = arg;
    char url[URL_BYTES];
    size_t base_bytes = strlen(place->where);
    const char *slash = base_bytes > 0 && place->where[base_bytes - 1] == '/' ? "" : "/";
    if (snprintf(url, sizeof url, "%s%s%s", place->where, slash, path) >= (int)sizeof url) {
        flk_errmsg(errmsg, "the URL is too long");
        return FLK_E_IO;
    }
    sheet_t sheet = {.data = malloc(bytes_max + 1), .bytes_max = bytes_max};
    if (sheet.data == NULL) {
        return FLK_E_NOMEM;
    }
    long status = 0;
    curl_easy_setopt(place->curl, CURLOPT_URL, url);
    curl_easy_setopt(place->curl, CURLOPT_WRITEDATA, &sheet);
    CURLcode code = curl_easy_perform(place->curl);
    curl_easy_getinfo(place->curl, CURLINFO_RESPONSE_CODE, &status);
    flk_err_t err = judge(url, code, status, errmsg);
    if (err != FLK_OK) {
        free(sheet.data);
        return err;
    }
    sheet.data[sheet.data_bytes] = '\0';
    *data = sheet.data;
    *data_bytes = sheet.data_bytes;
    return FLK_OK;
}

flk_err_t flk_audit_place_init(flk_audit_place_t *place, const char *where, char *errmsg) {
    *place = (flk_audit_place_t){.where = where};
    if (strstr(where, "://") == NULL) {
        return FLK_OK;
    }
    place->curl = curl_easy_init();
    if (place->curl == NULL) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    curl_easy_setopt(place->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(place->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(place->curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    curl_easy_setopt(place->curl, CURLOPT_USERAGENT, "flk/" FLK_VERSION);
    curl_easy_setopt(place->curl, CURLOPT_WRITEFUNCTION, on_data);
    return FLK_OK;
}

void flk_audit_place_fini(flk_audit_place_t *place) {
    if (place->curl != NULL) {
        curl_easy_cleanup(place->curl);
        place->curl = NULL;
    }
}

flk_tlog_source_t flk_audit_place_source(flk_audit_place_t *place) {
    return place->curl == NULL ? flk_tlog_source_dir(place->where)
                               : (flk_tlog_source_t){.fetch = fetch_from_url, .arg = place};
}
