/* SPDX-License-Identifier: MIT */
/* Each page is a civetweb request handler: refuse what is not GET or HEAD -> for /metrics check the credentials ->
 * answer. On a listener of our own a last handler answers 404 to every other path.
 *
 * The listener serves few connections at once and each for one request only; a client that stalls is cut by
 * civetweb's request timeout, and meanwhile costs one of the threads, not the daemon. */
#include "common/http/admin.h"

#include <civetweb.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/escape.h"

enum { THREADS = 4, QUEUE = 16, REQUEST_TIMEOUT_MS = 5000 };

static const char methods[] = "GET, HEAD";

struct flk_admin {
    struct mg_context *context; /* NULL when attached to another's */
    unsigned port;
    flk_admin_options_t options; /* user and pass are not kept */
    bool has_credentials;
    uint8_t credentials[crypto_generichash_BYTES]; /* hash of the base64 text that Basic Auth sends */
};

/* ---- requests ---- */

static bool is_page(const struct mg_connection *connection, const char *page) {
    const char *uri = mg_get_request_info(connection)->local_uri;
    return uri != NULL && strcmp(uri, page) == 0; /* civetweb's handlers also get what lies below their path */
}

static int send_not_found(struct mg_connection *connection) {
    flk_http_send_problem(connection, &(flk_http_answer_t){.status = 404, .close = true}, "no such page", NULL);
    return 404;
}

/* True when `page` is what is asked for, by a method it has; else the refusal was sent and *status is its code. */
static bool accept_request(struct mg_connection *connection, const char *page, int *status) {
    if (!is_page(connection, page)) {
        *status = send_not_found(connection);
        return false;
    }
    const char *method = mg_get_request_info(connection)->request_method;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        flk_http_answer_t answer = {.status = *status = 405, .allow = methods, .close = true};
        flk_http_send_problem(connection, &answer, "this page answers GET and HEAD only", NULL);
        return false;
    }
    return true;
}

/* A missing header takes the same way, so that neither time nor work tells a wrong user from a wrong password. */
static bool check_credentials(const flk_admin_t *admin, const struct mg_connection *connection) {
    const char *header = mg_get_header(connection, "Authorization");
    const char *sent = header != NULL && strncasecmp(header, "Basic ", 6) == 0 ? header + 6 : "";
    uint8_t hash[crypto_generichash_BYTES];
    crypto_generichash(hash, sizeof hash, (const uint8_t *)sent, strlen(sent), NULL, 0);
    return sodium_memcmp(hash, admin->credentials, sizeof hash) == 0;
}

static int on_healthz(struct mg_connection *connection, void *arg) {
    (void)arg;
    int status;
    if (!accept_request(connection, "/healthz", &status)) {
        return status;
    }
    flk_http_answer_t answer = {.status = 200, .content_type = "text/plain", .body = "ok\n", .body_bytes = 3};
    flk_http_send(connection, &answer);
    return answer.status;
}

static int on_readyz(struct mg_connection *connection, void *arg) {
    const flk_admin_t *admin = arg;
    int status;
    if (!accept_request(connection, "/readyz", &status)) {
        return status;
    }
    char why[FLK_ERRMSG_BYTES] = "";
    bool ready = admin->options.ready(admin->options.ready_arg, why);
    char reason[FLK_ERRMSG_BYTES * 6];
    size_t reason_bytes = ready ? 0 : flk_escape(why, FLK_ESCAPE_JSON, reason, sizeof reason, NULL);
    char body[sizeof reason + 40];
    int body_bytes = snprintf(body, sizeof body, "{\"ready\":%s,\"reason\":\"%.*s\"}\n", ready ? "true" : "false",
                              (int)reason_bytes, reason);
    flk_http_answer_t answer = {.status = ready ? 200 : 503,
                                .content_type = "application/json",
                                .body = body,
                                .body_bytes = (size_t)body_bytes,
                                .retry_after_s = ready ? 0 : 1};
    flk_http_send(connection, &answer);
    return answer.status;
}

static int on_metrics(struct mg_connection *connection, void *arg) {
    const flk_admin_t *admin = arg;
    int status;
    if (!accept_request(connection, "/metrics", &status)) {
        return status;
    }
    if (admin->has_credentials && !check_credentials(admin, connection)) {
        flk_http_answer_t refusal = {
            .status = 401, .authenticate = "Basic realm=\"flk metrics\", charset=\"UTF-8\"", .close = true};
        flk_http_send_problem(connection, &refusal, "user or password is missing or wrong", NULL);
        return refusal.status;
    }
    char *text;
    size_t text_bytes;
    if (flk_metrics_render(admin->options.metrics, &text, &text_bytes) != FLK_OK) {
        flk_http_answer_t refusal = {.status = 503, .retry_after_s = 1};
        flk_http_send_problem(connection, &refusal, "out of memory", NULL);
        return refusal.status;
    }
    flk_http_answer_t answer = {.status = 200,
                                .content_type = "text/plain; version=0.0.4; charset=utf-8",
                                .body = text,
                                .body_bytes = text_bytes};
    flk_http_send(connection, &answer);
    free(text);
    return answer.status;
}

static int on_other(struct mg_connection *connection, void *arg) {
    (void)arg;
    return send_not_found(connection);
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

static flk_err_t admin_new(const flk_admin_options_t *options, flk_admin_t **admin) {
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

static void add_pages(flk_admin_t *admin, struct mg_context *context) {
    mg_set_request_handler(context, "/healthz", on_healthz, admin);
    mg_set_request_handler(context, "/readyz", on_readyz, admin);
    mg_set_request_handler(context, "/metrics", on_metrics, admin);
}

static flk_err_t attach(struct mg_context *context, void *arg) {
    add_pages(arg, context);
    mg_set_request_handler(context, "**", on_other, NULL);
    return FLK_OK;
}

flk_err_t flk_admin_start(const char *listen, const flk_admin_options_t *options, flk_admin_t **admin, char *errmsg) {
    *admin = NULL;
    if (strcmp(listen, "off") == 0) {
        return FLK_OK;
    }
    flk_admin_t *made;
    flk_err_t err = admin_new(options, &made);
    if (err != FLK_OK) {
        flk_errmsg(errmsg, "%s", flk_err_text(err));
        return err;
    }
    flk_http_options_t http = {.listen = listen,
                               .threads = THREADS,
                               .queue = QUEUE,
                               .metrics = options->metrics,
                               .request_timeout_ms = REQUEST_TIMEOUT_MS,
                               .attach = attach,
                               .attach_arg = made};
    err = flk_http_start(&http, &made->context, &made->port, errmsg);
    if (err != FLK_OK) {
        flk_admin_stop(&made);
        return err;
    }
    *admin = made;
    return FLK_OK;
}

flk_err_t flk_admin_attach(struct mg_context *context, const flk_admin_options_t *options, flk_admin_t **admin) {
    flk_err_t err = admin_new(options, admin);
    if (err == FLK_OK) {
        add_pages(*admin, context);
    }
    return err;
}

void flk_admin_stop(flk_admin_t **admin) {
    if (*admin == NULL) {
        return;
    }
    flk_http_stop(&(*admin)->context);
    sodium_memzero((*admin)->credentials, sizeof(*admin)->credentials);
    free(*admin);
    *admin = NULL;
}

unsigned flk_admin_port(const flk_admin_t *admin) {
    return admin->port;
}
