/* SPDX-License-Identifier: MIT */
/* HTTP by libcurl's multi interface: one handle a parcel under way, connections kept alive between them.
 *   send -> a free handle posts the JSON -> turn: curl works, then waits -> the answer is read -> on_reply.
 * A 200 or 202 is believed only when its body is a verdict on this very PCS, a refusal only when it is a gateway's
 * problem: a proxy's page must neither settle nor bury a record. A try without an answer (connection refused, reset,
 * timed out, unknown name, untrusted certificate) is repeated: the record is not at fault. Redirects are not
 * followed. */
#include "agent/send/transport.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/address.h"

enum { ANSWER_BYTES_MAX = 1 << 16, CONNECT_MS = 5000, RETRY_AFTER_S_MAX = FLK_REPLY_RETRY_MS_MAX / 1000 };

/* One handle with the answer it is receiving. */
typedef struct post {
    CURL *curl;
    flk_parcel_t *parcel; /* NULL: free */
    size_t answer_bytes;
    char answer[ANSWER_BYTES_MAX];
    char fault[CURL_ERROR_SIZE];
} post_t;

typedef struct http {
    flk_transport_t base;
    char *endpoint, *ca_file;
    CURLM *multi;
    struct curl_slist *headers;
    post_t **posts; /* options.parallel places, made when first needed */
} http_t;

static size_t keep_answer(char *data, size_t size, size_t count, void *arg) {
    post_t *post = arg;
    size_t bytes = size * count;
    if (bytes > ANSWER_BYTES_MAX - post->answer_bytes) {
        return 0; /* ends the transfer: no verdict is that long */
    }
    memcpy(post->answer + post->answer_bytes, data, bytes);
    post->answer_bytes += bytes;
    return bytes;
}

static bool is_loopback(const char *endpoint) {
    static const char *const hosts[] = {"http://127.", "http://localhost:", "http://localhost/", "http://[::1]"};
    for (size_t i = 0; i < FLK_COUNT_OF(hosts); i++) {
        if (strncmp(endpoint, hosts[i], strlen(hosts[i])) == 0) {
            return true;
        }
    }
    return false;
}

#define SET(curl, option, value) FLK_ASSERT(curl_easy_setopt((curl), (option), (value)) == CURLE_OK)

static post_t *post_new(http_t *http) {
    post_t *post = flk_start_alloc(sizeof *post);
    CURL *curl = post->curl = curl_easy_init();
    FLK_ASSERT(curl != NULL);
    SET(curl, CURLOPT_URL, http->endpoint);
    SET(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(curl, CURLOPT_HTTPHEADER, http->headers);
    SET(curl, CURLOPT_USERAGENT, "flk-agent/" FLK_VERSION);
    SET(curl, CURLOPT_POST, 1L);
    SET(curl, CURLOPT_FOLLOWLOCATION, 0L);
    SET(curl, CURLOPT_NOSIGNAL, 1L);
    SET(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    SET(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    SET(curl, CURLOPT_TIMEOUT_MS, (long)http->base.options.timeout_ms);
    SET(curl, CURLOPT_WRITEFUNCTION, keep_answer);
    SET(curl, CURLOPT_WRITEDATA, (void *)post);
    SET(curl, CURLOPT_ERRORBUFFER, post->fault);
    SET(curl, CURLOPT_PRIVATE, (void *)post);
    if (is_loopback(http->endpoint)) {
        SET(curl, CURLOPT_PROXY, ""); /* http_proxy is for the world outside */
    }
    if (http->ca_file != NULL) {
        SET(curl, CURLOPT_CAINFO, http->ca_file);
    }
    return post;
}

static void http_send(flk_transport_t *transport, flk_parcel_t *parcel) {
    http_t *http = (http_t *)transport;
    size_t i = 0;
    while (http->posts[i] != NULL && http->posts[i]->parcel != NULL) {
        i++;
        FLK_ASSERT(i < transport->options.parallel);
    }
    post_t *post = http->posts[i] = http->posts[i] == NULL ? post_new(http) : http->posts[i];
    post->parcel = parcel;
    post->answer_bytes = 0;
    post->fault[0] = '\0';
    SET(post->curl, CURLOPT_POSTFIELDS, parcel->json);
    SET(post->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)parcel->json_bytes);
    FLK_ASSERT(curl_multi_add_handle(http->multi, post->curl) == CURLM_OK);
}

/* ---- answers ---- */

/* Reasons of a later version are passed over. */
static void take_reasons(const json_t *answer, flk_reply_t *reply) {
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(answer, "reasons"), i, name) {
        if (json_is_string(name)) {
            (void)!flk_reason_take(json_string_value(name), &reply->reasons, reply->rules);
        }
    }
}

/* Reads a 200 or 202; false: it is no verdict on this PCS. Other implementations of the contract leave `pcs_id` out. */
static bool read_verdict(const post_t *post, const json_t *answer, flk_reply_t *reply) {
    const json_t *pcs_id = json_object_get(answer, "pcs_id");
    const json_t *accepted = json_object_get(answer, "accepted");
    bool this_pcs =
        pcs_id == NULL || (json_is_string(pcs_id) && strcmp(json_string_value(pcs_id), post->parcel->pcs.id) == 0);
    if (!this_pcs || !json_is_boolean(accepted) || json_is_true(accepted) != (reply->status == FLK_STATUS_ACCEPTED)) {
        return false;
    }
    reply->duplicate = json_is_true(json_object_get(answer, "duplicate"));
    reply->conflict = json_is_true(json_object_get(answer, "conflict"));
    take_reasons(answer, reply);
    return true;
}

/* True for a problem as gateways send it: their media type, their members, their own status. Frameworks that send
 * problems of their own fill `instance` in; gateways never do. */
static bool is_ours(const post_t *post, const json_t *answer, unsigned status) {
    static const char problem_type[] = "application/problem+json";
    const char *media_type = NULL, *type = json_string_value(json_object_get(answer, "type"));
    curl_easy_getinfo(post->curl, CURLINFO_CONTENT_TYPE, &media_type);
    return media_type != NULL && strncasecmp(media_type, problem_type, sizeof problem_type - 1) == 0 && type != NULL &&
           strcmp(type, "about:blank") == 0 && json_is_string(json_object_get(answer, "title")) &&
           json_is_string(json_object_get(answer, "detail")) && json_object_get(answer, "instance") == NULL &&
           json_integer_value(json_object_get(answer, "status")) == (json_int_t)status;
}

static void say_problem(const json_t *answer, flk_reply_t *reply) {
    const char *detail = json_string_value(json_object_get(answer, "detail"));
    const char *field = json_string_value(json_object_get(answer, "field"));
    flk_reply_say(reply, "HTTP %u%s%.48s%s%.180s", reply->status, field == NULL ? "" : " ", field == NULL ? "" : field,
                  detail == NULL ? "" : ": ", detail == NULL ? "" : detail);
}

/* An answer of a proxy, a login page, a load balancer: people must learn that it is no gateway's. */
static void say_foreign(const post_t *post, flk_reply_t *reply) {
    const char *where = NULL, *media_type = NULL;
    curl_easy_getinfo(post->curl, CURLINFO_REDIRECT_URL, &where);
    curl_easy_getinfo(post->curl, CURLINFO_CONTENT_TYPE, &media_type);
    if (where != NULL) {
        char shown[160];
        flk_address_show(where, shown, sizeof shown);
        flk_reply_say(reply, "HTTP %u: a redirect to %s, which is not followed", reply->status, shown);
    } else {
        flk_reply_say(reply, "HTTP %u: not an answer of flk (%.60s)", reply->status,
                      media_type == NULL ? "no media type" : media_type);
    }
}

static void read_answer(const post_t *post, flk_reply_t *reply) {
    long status = 0;
    curl_off_t retry_after_s = 0;
    curl_easy_getinfo(post->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(post->curl, CURLINFO_RETRY_AFTER, &retry_after_s);
    json_t *answer = json_loadb(post->answer, post->answer_bytes, JSON_REJECT_DUPLICATES, NULL);
    bool ours = is_ours(post, answer, (unsigned)status);
    *reply = (flk_reply_t){.status = (unsigned)status, .kind = flk_reply_kind_of((unsigned)status, ours)};
    retry_after_s = retry_after_s < RETRY_AFTER_S_MAX ? retry_after_s : RETRY_AFTER_S_MAX;
    reply->retry_ms = retry_after_s > 0 ? (uint32_t)retry_after_s * 1000 : 0;
    if (reply->kind == FLK_REPLY_VERDICT && !read_verdict(post, answer, reply)) {
        reply->kind = FLK_REPLY_LATER;
        flk_reply_say(reply, "HTTP %u: no verdict on this PCS in the body", reply->status);
    } else if (reply->kind != FLK_REPLY_VERDICT && ours) {
        say_problem(answer, reply);
    } else if (reply->kind != FLK_REPLY_VERDICT) {
        say_foreign(post, reply);
    }
    json_decref(answer);
}

static void finish_post(http_t *http, post_t *post, CURLcode result) {
    flk_reply_t reply;
    if (result == CURLE_OK) {
        read_answer(post, &reply);
    } else {
        reply = (flk_reply_t){.kind = FLK_REPLY_LATER};
        flk_reply_say(&reply, "%s", post->fault[0] == '\0' ? curl_easy_strerror(result) : post->fault);
    }
    flk_parcel_t *parcel = post->parcel;
    FLK_ASSERT(curl_multi_remove_handle(http->multi, post->curl) == CURLM_OK);
    post->parcel = NULL;
    flk_transport_finish(&http->base, parcel, &reply);
}

/* Lets curl work and finishes posts that are done; returns their number. */
static size_t let_curl_work(http_t *http) {
    int running, left;
    size_t finished = 0;
    CURLMsg *done;
    FLK_ASSERT(curl_multi_perform(http->multi, &running) == CURLM_OK);
    while ((done = curl_multi_info_read(http->multi, &left)) != NULL) {
        post_t *post;
        CURLcode result = done->data.result;
        curl_easy_getinfo(done->easy_handle, CURLINFO_PRIVATE, (char **)&post);
        finish_post(http, post, result);
        finished++;
    }
    return finished;
}

static void http_turn(flk_transport_t *transport, uint32_t timeout_ms, const int *fds, size_t fds_len) {
    http_t *http = (http_t *)transport;
    struct curl_waitfd waits[FLK_TRANSPORT_FDS_MAX];
    for (size_t i = 0; i < fds_len; i++) {
        waits[i] = (struct curl_waitfd){.fd = fds[i], .events = CURL_WAIT_POLLIN};
    }
    if (let_curl_work(http) > 0) {
        return;
    }
    (void)curl_multi_poll(http->multi, waits, (unsigned)fds_len, (int)timeout_ms, NULL);
    (void)let_curl_work(http);
}

static void http_close(flk_transport_t *transport) {
    http_t *http = (http_t *)transport;
    for (size_t i = 0; i < transport->options.parallel && http->posts != NULL && http->posts[i] != NULL; i++) {
        if (http->posts[i]->parcel != NULL) {
            curl_multi_remove_handle(http->multi, http->posts[i]->curl);
        }
        curl_easy_cleanup(http->posts[i]->curl);
        free(http->posts[i]);
    }
    curl_multi_cleanup(http->multi);
    curl_slist_free_all(http->headers);
    free(http->posts);
    free(http->endpoint);
    free(http->ca_file);
    free(http);
    curl_global_cleanup();
}

flk_err_t flk_transport_http_open(const flk_transport_options_t *options, flk_transport_t **transport, char *errmsg) {
    static const flk_transport_ops_t ops = {.close = http_close, .send = http_send, .turn = http_turn};
    FLK_ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    http_t *http = flk_start_alloc(sizeof *http);
    http->base = (flk_transport_t){.ops = &ops, .options = *options};
    http->endpoint = strdup(options->endpoint);
    http->ca_file = options->ca_file == NULL ? NULL : strdup(options->ca_file);
    http->posts = flk_start_alloc(options->parallel * sizeof *http->posts);
    http->multi = curl_multi_init();
    http->headers = curl_slist_append(NULL, "Content-Type: application/json");
    http->headers = curl_slist_append(http->headers, "Expect:"); /* the body is short: do not ask first */
    FLK_ASSERT(http->endpoint != NULL && http->multi != NULL && http->headers != NULL);
    CURLU *url = curl_url();
    bool valid = curl_url_set(url, CURLUPART_URL, options->endpoint, 0) == CURLUE_OK;
    curl_url_cleanup(url);
    if (!valid) {
        char shown[200];
        flk_address_show(options->endpoint, shown, sizeof shown);
        flk_errmsg(errmsg, "ENDPOINT '%s' is not a valid URL", shown);
        http_close(&http->base);
        return FLK_E_CONFIG;
    }
    *transport = &http->base;
    return FLK_OK;
}
