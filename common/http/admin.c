/* SPDX-License-Identifier: MIT */
/* The server of the pages has few threads and serves one request a connection; a client that stalls is ended by the
 * server's watch, and meanwhile costs one of the threads, not the daemon. */
#include "common/http/admin.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/beat.h"
#include "common/escape.h"
#include "common/http/listener.h"

enum { THREADS = 4, QUEUE = 16, WRITE_TIMEOUT_MS = 5000 };

static const char methods[] = "GET, HEAD";

struct flk_admin {
    flk_http_server_t *server;   /* NULL when the pages are another server's routes */
    flk_admin_options_t options; /* user and pass are not kept */
    bool has_credentials;
    uint8_t credentials[crypto_generichash_BYTES]; /* hash of the base64 text that Basic Auth sends */
};

/* ---- requests ---- */

/* A missing header takes the same way, so that neither time nor work tells a wrong user from a wrong password. */
static bool check_credentials(const flk_admin_t *admin, const flk_http_request_t *request) {
    const char *header = flk_http_head_field(flk_http_request_head(request), "Authorization");
    const char *sent = header != NULL && strncasecmp(header, "Basic ", 6) == 0 ? header + 6 : "";
    uint8_t hash[crypto_generichash_BYTES];
    sent += strspn(sent, " ");
    crypto_generichash(hash, sizeof hash, (const uint8_t *)sent, strlen(sent), NULL, 0);
    return sodium_memcmp(hash, admin->credentials, sizeof hash) == 0;
}

/* 503 with the loop's name while one hangs; else `text`. */
static void send_life(flk_http_request_t *request, const char *text) {
    char why[FLK_ERRMSG_BYTES], body[FLK_ERRMSG_BYTES + 1];
    bool alive = flk_beats_alive(flk_mono_ms(), why);
    snprintf(body, sizeof body, "%s%s", alive ? text : why, alive ? "" : "\n");
    flk_http_send(request, &(flk_http_answer_t){.status = alive ? 200 : 503,
                                                .content_type = "text/plain",
                                                .body = body,
                                                .body_bytes = strlen(body),
                                                .retry_after_s = alive ? 0 : 1});
}

static void on_healthz(flk_http_request_t *request, void *arg) {
    (void)arg;
    send_life(request, "ok\n");
}

static void on_health(flk_http_request_t *request, void *arg) {
    (void)arg;
    send_life(request, "OK");
}

static void on_readyz(flk_http_request_t *request, void *arg) {
    const flk_admin_t *admin = arg;
    char why[FLK_ERRMSG_BYTES] = "";
    bool ready = flk_beats_alive(flk_mono_ms(), why) && admin->options.ready(admin->options.ready_arg, why);
    char reason[FLK_ERRMSG_BYTES * 6];
    size_t reason_bytes = ready ? 0 : flk_escape(why, FLK_ESCAPE_JSON, reason, sizeof reason, NULL);
    char body[sizeof reason + 40];
    int body_bytes = snprintf(body, sizeof body, "{\"ready\":%s,\"reason\":\"%.*s\"}\n", ready ? "true" : "false",
                              (int)reason_bytes, reason);
    flk_http_send(request, &(flk_http_answer_t){.status = ready ? 200 : 503,
                                                .content_type = "application/json",
                                                .body = body,
                                                .body_bytes = (size_t)body_bytes,
                                                .retry_after_s = ready ? 0 : 1});
}

bool flk_admin_let_in(const flk_admin_t *admin, flk_http_request_t *request) {
    if (!admin->has_credentials || check_credentials(admin, request)) {
        return true;
    }
    flk_http_answer_t refusal = {
        .status = 401, .authenticate = "Basic realm=\"flk metrics\", charset=\"UTF-8\"", .close = true};
    flk_http_send_problem(request, &refusal, "user or password is missing or wrong", NULL);
    return false;
}

static void on_metrics(flk_http_request_t *request, void *arg) {
    const flk_admin_t *admin = arg;
    if (!flk_admin_let_in(admin, request)) {
        return;
    }
    char *text;
    size_t text_bytes;
    if (flk_metrics_render(admin->options.metrics, &text, &text_bytes) != FLK_OK) {
        flk_http_send_problem(request, &(flk_http_answer_t){.status = 503, .retry_after_s = 1}, "out of memory", NULL);
        return;
    }
    flk_http_send(request, &(flk_http_answer_t){.status = 200,
                                                .content_type = "text/plain; version=0.0.4; charset=utf-8",
                                                .body = text,
                                                .body_bytes = text_bytes});
    free(text);
}

/* ---- making and ending ---- */

static flk_err_t remember_credentials(flk_admin_t *admin, const char *user, const char *pass) {
    if (user[0] == '\0' && pass[0] == '\0') {
        return FLK_OK;
    }
    size_t plain_bytes = strlen(user) + 1 + strlen(pass);
    size_t encoded_bytes = sodium_base64_encoded_len(plain_bytes, sodium_base64_VARIANT_ORIGINAL);
    char *plain = malloc(plain_bytes + 1);
    char *encoded = malloc(encoded_bytes);
    if (plain != NULL && encoded != NULL) {
        snprintf(plain, plain_bytes + 1, "%s:%s", user, pass);
        sodium_bin2base64(encoded, encoded_bytes, (const uint8_t *)plain, plain_bytes, sodium_base64_VARIANT_ORIGINAL);
        crypto_generichash(admin->credentials, sizeof admin->credentials, (const uint8_t *)encoded, strlen(encoded),
                           NULL, 0);
        admin->has_credentials = true;
        sodium_memzero(plain, plain_bytes);
        sodium_memzero(encoded, encoded_bytes);
    }
    free(plain);
    free(encoded);
    return admin->has_credentials ? FLK_OK : FLK_E_NOMEM;
}

flk_err_t flk_admin_new(const flk_admin_options_t *options, flk_admin_t **admin) {
    *admin = calloc(1, sizeof **admin);
    if (*admin == NULL) {
        return FLK_E_NOMEM;
    }
    (*admin)->options = *options;
    (*admin)->options.user = (*admin)->options.pass = NULL;
    flk_err_t err = remember_credentials(*admin, options->user, options->pass);
    if (err != FLK_OK) {
        flk_admin_stop(admin);
    }
    return err;
}

void flk_admin_routes(flk_admin_t *admin, flk_http_route_t routes[FLK_ADMIN_ROUTES]) {
    routes[0] = (flk_http_route_t){"/healthz", methods, on_healthz, admin, FLK_HTTP_EXACT};
    routes[1] = (flk_http_route_t){"/health", methods, on_health, admin, FLK_HTTP_EXACT};
    routes[2] = (flk_http_route_t){"/readyz", methods, on_readyz, admin, FLK_HTTP_EXACT};
    routes[3] = (flk_http_route_t){"/metrics", methods, on_metrics, admin, FLK_HTTP_EXACT};
}

flk_err_t flk_admin_check(const char *listen, char *errmsg) {
    return strcmp(listen, "off") == 0 ? FLK_OK : flk_http_listener_check(listen, errmsg);
}

/* A written address is intended; a port without one means every address. */
static const char *plain_advice(const char *listen) {
    const char *colon = strrchr(listen, ':');
    bool is_bare = colon == NULL || colon == listen;
    return is_bare ? "a port alone is every address: write 127.0.0.1:PORT, or 0.0.0.0:PORT when all are meant" : NULL;
}

flk_err_t flk_admin_start(const char *listen, const flk_admin_options_t *options, flk_admin_t **admin, char *errmsg) {
    *admin = NULL;
    if (strcmp(listen, "off") == 0) {
        return FLK_OK;
    }
    flk_admin_t *made;
    flk_err_t err = flk_admin_new(options, &made);
    if (err != FLK_OK) {
        flk_errmsg(errmsg, "%s", flk_err_text(err));
        return err;
    }
    flk_http_route_t routes[FLK_ADMIN_ROUTES];
    flk_admin_routes(made, routes);
    flk_http_options_t http = {.listen = listen,
                               .plain_advice = plain_advice(listen),
                               .threads = THREADS,
                               .queue = QUEUE,
                               .metrics = options->metrics,
                               .write_timeout_ms = WRITE_TIMEOUT_MS,
                               .routes = routes,
                               .routes_len = FLK_ADMIN_ROUTES};
    err = flk_http_start(&http, &made->server, errmsg);
    if (err != FLK_OK) {
        flk_admin_stop(&made);
        return err;
    }
    *admin = made;
    return FLK_OK;
}

void flk_admin_stop(flk_admin_t **admin) {
    if (*admin == NULL) {
        return;
    }
    flk_http_stop(&(*admin)->server);
    sodium_memzero((*admin)->credentials, sizeof(*admin)->credentials);
    free(*admin);
    *admin = NULL;
}

unsigned flk_admin_port(const flk_admin_t *admin) {
    return flk_http_port(admin->server);
}
