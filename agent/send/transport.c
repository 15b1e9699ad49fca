/* SPDX-License-Identifier: MIT */
#include "agent/send/transport.h"

#include <string.h>

static bool has_scheme(const char *endpoint, const char *scheme) {
    return strncmp(endpoint, scheme, strlen(scheme)) == 0;
}

flk_err_t flk_sender_open(const flk_sender_options_t *options, flk_sender_t **sender, char *errmsg) {
    const char *endpoint = options->endpoint;
    if (has_scheme(endpoint, "http://") || has_scheme(endpoint, "https://")) {
        return flk_sender_http_open(options, sender, errmsg);
    }
    if (has_scheme(endpoint, "tcp://") || has_scheme(endpoint, "ipc://")) {
        return flk_sender_zmq_open(options, sender, errmsg);
    }
    flk_errmsg(errmsg, "ENDPOINT '%.200s' is not http://, https://, tcp:// or ipc://", endpoint);
    return FLK_E_CONFIG;
}

void flk_sender_close(flk_sender_t **sender) {
    if (*sender != NULL) {
        (*sender)->ops->close(*sender);
        *sender = NULL;
    }
}

uint32_t flk_sender_room(const flk_sender_t *sender) {
    return sender->options.parallel - sender->under_way;
}

void flk_sender_send(flk_sender_t *sender, flk_parcel_t *parcel) {
    FLK_ASSERT(flk_sender_room(sender) > 0);
    sender->under_way++;
    sender->ops->send(sender, parcel);
}

void flk_sender_turn(flk_sender_t *sender, uint32_t timeout_ms, const int *fds, size_t fds_len) {
    FLK_ASSERT(fds_len <= FLK_SENDER_FDS_MAX);
    sender->ops->turn(sender, timeout_ms, fds, fds_len);
}

void flk_sender_finish(flk_sender_t *sender, flk_parcel_t *parcel, const flk_reply_t *reply) {
    FLK_ASSERT(sender->under_way > 0);
    sender->under_way--;
    sender->options.on_reply(sender->options.on_reply_arg, parcel, reply);
}

flk_reply_kind_t flk_reply_kind_of(unsigned status) {
    if (status == FLK_STATUS_ACCEPTED || status == FLK_STATUS_ESCALATED) {
        return FLK_REPLY_VERDICT;
    }
    bool passing = status == 408 || status == 425 || status == 429 || status >= 500 || status < 300;
    return passing ? FLK_REPLY_LATER : FLK_REPLY_REFUSED;
}
