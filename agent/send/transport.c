/* SPDX-License-Identifier: MIT */
#include "agent/send/transport.h"

#include <string.h>

#include "common/address.h"

static bool has_scheme(const char *endpoint, const char *scheme) {
    return strncmp(endpoint, scheme, strlen(scheme)) == 0;
}

flk_err_t flk_transport_open(const flk_transport_options_t *options, flk_transport_t **transport, char *errmsg) {
    const char *endpoint = options->endpoint;
    if (has_scheme(endpoint, "http://") || has_scheme(endpoint, "https://")) {
        return flk_transport_http_open(options, transport, errmsg);
    }
    if (has_scheme(endpoint, "tcp://") || has_scheme(endpoint, "ipc://")) {
        return flk_transport_zmq_open(options, transport, errmsg);
    }
    char shown[200];
    flk_address_show(endpoint, shown, sizeof shown);
    flk_errmsg(errmsg, "ENDPOINT '%s' is not http://, https://, tcp:// or ipc://", shown);
    return FLK_E_CONFIG;
}

void flk_transport_close(flk_transport_t **transport) {
    if (*transport != NULL) {
        (*transport)->ops->close(*transport);
        *transport = NULL;
    }
}

uint32_t flk_transport_room(const flk_transport_t *transport) {
    return transport->options.parallel - transport->under_way;
}

void flk_transport_send(flk_transport_t *transport, flk_parcel_t *parcel) {
    FLK_ASSERT(flk_transport_room(transport) > 0);
    transport->under_way++;
    transport->ops->send(transport, parcel);
}

void flk_transport_turn(flk_transport_t *transport, uint32_t timeout_ms, const int *fds, size_t fds_len) {
    FLK_ASSERT(fds_len <= FLK_TRANSPORT_FDS_MAX);
    transport->ops->turn(transport, timeout_ms, fds, fds_len);
}
