/* SPDX-License-Identifier: MIT */
/* A body that does not come in time or in full is refused and the connection closed; nothing is kept. */
#include "gateway/http_body.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/answer.h"

enum {
    READ_STEP = 16384,
    RETRY_MS = 1000, /* told to clients where nobody knows better */
};

static void refuse_for(flk_http_request_t *request, const flk_gateway_t *gateway, uint16_t status, const char *detail,
                       uint32_t retry_ms) {
    flk_answer_t answer;
    char text[FLK_ANSWER_BYTES];
    flk_counter_add(gateway->metrics.http_refused, 1);
    flk_answer_init_problem(&answer, status, "", detail, retry_ms);
    const flk_http_answer_t printed = {
        .status = status,
        .content_type = flk_http_problem_type,
        .body = text,
        .body_bytes = flk_answer_print(&answer, text),
        .retry_after_s = flk_answer_retry_s(&answer),
        .accept_encoding = status == 415 ? "identity" : NULL,
        .close = true,
    };
    flk_http_send(request, &printed);
}

void flk_http_body_refuse(flk_http_request_t *request, const flk_gateway_t *gateway, uint16_t status,
                          const char *detail) {
    refuse_for(request, gateway, status, detail, RETRY_MS);
}

/* ---- its room ---- */

/* The buffer grows to `room` bytes. Errors: FLK_E_FULL, FLK_E_NOMEM; body->text stays as it was. */
static flk_err_t grow(flk_http_body_rules_t *rules, flk_http_body_t *body, size_t room) {
    size_t more = room - body->room;
    if (rules->all_bytes_max > 0 && atomic_fetch_add(&rules->all_bytes, more) + more > rules->all_bytes_max) {
        atomic_fetch_sub(&rules->all_bytes, more);
        return FLK_E_FULL;
    }
    body->room = room; /* flk_http_body_free gives it back */
    char *text = realloc(body->text, room);
    if (text == NULL) {
        return FLK_E_NOMEM;
    }
    body->text = text;
    return FLK_OK;
}

void flk_http_body_free(flk_http_body_rules_t *rules, flk_http_body_t *body) {
    if (rules->all_bytes_max > 0) {
        atomic_fetch_sub(&rules->all_bytes, body->room);
    }
    free(body->text);
    *body = (flk_http_body_t){.text = NULL};
}

/* ---- reading ---- */

/* A single PCS gets its buffer at once; a body that is bounded with others, or chunked, grows by doubling, so that it
 * holds little more than the bytes that came. One byte more than allowed is read, to know that it is too much. */
static size_t first_room(const flk_http_head_t *head, const flk_http_body_rules_t *rules) {
    size_t whole = (size_t)head->length + 2;
    bool grows = head->chunked || rules->all_bytes_max > 0;
    return grows && (head->chunked || whole > READ_STEP) ? READ_STEP : whole;
}

/* Errors: FLK_E_TOO_LARGE, FLK_E_FULL, FLK_E_NOMEM, and those of flk_http_request_body. */
static flk_err_t read_all(flk_http_request_t *request, flk_http_body_rules_t *rules, flk_http_body_t *body) {
    flk_err_t err = grow(rules, body, first_room(flk_http_request_head(request), rules));
    for (size_t got = 1; err == FLK_OK && got > 0;) {
        if (body->bytes + 1 >= body->room) {
            size_t twice = body->room * 2, whole = rules->bytes_max + 2;
            err = grow(rules, body, twice < whole ? twice : whole);
        }
        if (err == FLK_OK) {
            err = flk_http_request_body(request, body->text + body->bytes, body->room - body->bytes - 1, &got);
        }
        if (err == FLK_OK) {
            body->bytes += got;
            body->text[body->bytes] = '\0';
            err = body->bytes > rules->bytes_max ? FLK_E_TOO_LARGE : FLK_OK;
        }
    }
    return err;
}

static void refuse_body(flk_http_request_t *request, const flk_http_body_rules_t *rules, flk_err_t err) {
    const flk_gateway_t *gateway = rules->gateway;
    switch (err) {
    case FLK_E_TOO_LARGE:
        flk_http_body_refuse(request, gateway, 413, rules->too_large);
        break;
    case FLK_E_FULL:
        flk_http_body_refuse(request, gateway, 503, "too many bytes of batches at once");
        break;
    case FLK_E_NOMEM:
        flk_http_body_refuse(request, gateway, 503, "out of memory");
        break;
    case FLK_E_TIMEOUT:
        flk_http_body_refuse(request, gateway, 408, "the body came too slowly");
        break;
    case FLK_E_INVALID:
        flk_http_body_refuse(request, gateway, 400, "the chunks of the body are malformed");
        break;
    default:
        flk_http_body_refuse(request, gateway, 400, "the connection ended before the body did");
        break;
    }
}

/* Whose bytes they are. A trusted proxy writes the last address of the last X-Forwarded-For; all before it is the
 * client's word. */
static flk_http_peer_t client_of(const flk_http_body_rules_t *rules, const flk_http_request_t *request) {
    const flk_http_head_t *head = flk_http_request_head(request);
    flk_http_peer_t client = *flk_http_request_peer(request);
    for (unsigned i = head->fields_len; rules->is_behind_proxy && i-- > 0;) {
        if (strcasecmp(head->fields[i].name, "X-Forwarded-For") == 0) {
            (void)!flk_http_peer_forwarded(head->fields[i].value, &client); /* else the proxy's own */
            break;
        }
    }
    return client;
}

static bool read_within_bucket(flk_http_request_t *request, flk_http_body_rules_t *rules, uint64_t began_ns,
                               flk_http_body_t *body) {
    uint32_t retry_ms;
    const flk_http_peer_t client = client_of(rules, request);
    if (!flk_client_bytes_may(rules->clients, &client, began_ns, &retry_ms)) {
        flk_counter_add(rules->gateway->metrics.address_throttled, 1);
        refuse_for(request, rules->gateway, 429, "more bytes from this address than FLK_HTTP_ADDRESS_BYTES allows",
                   retry_ms);
        return false;
    }
    flk_err_t err = read_all(request, rules, body);
    flk_client_bytes_take(rules->clients, &client, body->bytes, began_ns);
    if (err != FLK_OK) {
        flk_http_body_free(rules, body);
        refuse_body(request, rules, err);
    }
    return err == FLK_OK;
}

/* ---- the head ---- */

/* "application/json", with or without parameters. */
static bool is_of_type(const char *type, const char *media_type) {
    size_t len = strlen(media_type);
    if (type == NULL || strncasecmp(type, media_type, len) != 0) {
        return false;
    }
    size_t blanks = strspn(type + len, " \t");
    return type[len + blanks] == '\0' || type[len + blanks] == ';';
}

/* A body that is coded in some way would be stored and signed as it is. */
static bool is_identity(const flk_http_head_t *head) {
    for (unsigned i = 0; i < head->fields_len; i++) {
        if (strcasecmp(head->fields[i].name, "Content-Encoding") == 0 &&
            strcasecmp(head->fields[i].value, "identity") != 0 && head->fields[i].value[0] != '\0') {
            return false;
        }
    }
    return true;
}

bool flk_http_body_read(flk_http_request_t *request, flk_http_body_rules_t *rules, uint64_t began_ns,
                        flk_http_body_t *body) {
    const flk_http_head_t *head = flk_http_request_head(request);
    *body = (flk_http_body_t){.text = NULL};
    if (!is_of_type(flk_http_head_field(head, "Content-Type"), rules->media_type)) {
        flk_http_body_refuse(request, rules->gateway, 415, rules->other_type);
    } else if (!is_identity(head)) {
        flk_http_body_refuse(request, rules->gateway, 415, "the body must not be encoded");
    } else if (!head->has_length) {
        flk_http_body_refuse(request, rules->gateway, 411, "Content-Length or chunks must tell the length of the body");
    } else if (head->length > rules->bytes_max) {
        flk_http_body_refuse(request, rules->gateway, 413, rules->too_large);
    } else {
        return read_within_bucket(request, rules, began_ns, body);
    }
    return false;
}
