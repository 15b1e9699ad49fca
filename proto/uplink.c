/* SPDX-License-Identifier: MIT */
#include "proto/uplink.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

/* Makes the socket, to the endpoint or to the next address of its name. FLK_E_AGAIN: the name is being looked up. */
static flk_err_t dial(flk_uplink_t *uplink, uint64_t now_ms, char *errmsg) {
    if (uplink->host[0] == '\0') {
        return flk_link_connect(uplink->context, uplink->endpoint, uplink->security, &uplink->server, &uplink->socket,
                                errmsg);
    }
    flk_err_t err = flk_security_check(uplink->security, uplink->endpoint, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    flk_addresses_t addresses;
    err = flk_resolve(uplink->host, now_ms, &addresses, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    char address[sizeof uplink->endpoint + FLK_ADDRESS_BYTES];
    strcpy(uplink->address, addresses.text[uplink->address_turn % addresses.len]);
    snprintf(address, sizeof address, "tcp://%s:%s", uplink->address, uplink->port);
    return flk_link_connect_at(uplink->context, uplink->endpoint, address, uplink->security, &uplink->server,
                               &uplink->socket, errmsg);
}

flk_err_t flk_uplink_init(flk_uplink_t *uplink, void *context, const char *endpoint, const flk_security_t *security,
                          const flk_frame_t *greeting, uint32_t heartbeat_ms, uint64_t now_ms, char *errmsg) {
    *uplink = (flk_uplink_t){.context = context,
                             .security = security,
                             .greeting = *greeting,
                             .heartbeat_ms = heartbeat_ms,
                             .retry_at_ms = now_ms,
                             .backoff_ms = FLK_UPLINK_BACKOFF_MS_MIN};
    if (strlen(endpoint) >= sizeof uplink->endpoint) {
        flk_errmsg(errmsg, "endpoint of %zu bytes: at most %zu are allowed", strlen(endpoint),
                   sizeof uplink->endpoint - 1);
        return FLK_E_CONFIG;
    }
    strcpy(uplink->endpoint, endpoint);
    if (!flk_resolve_is_name(uplink->endpoint, uplink->host, &uplink->port)) {
        uplink->host[0] = '\0';
    }
    /* Connecting does not wait for the other side, so a wrong endpoint is found here and now. */
    flk_err_t err = dial(uplink, now_ms, errmsg);
    return err == FLK_E_UNAVAILABLE || err == FLK_E_AGAIN ? FLK_OK
                                                          : err; /* some server may be trusted, or found, later */
}

static bool say(flk_uplink_t *uplink, const flk_frame_t *frame) {
    return flk_link_send(uplink->socket, NULL, frame, NULL) == FLK_OK;
}

static bool say_kind(flk_uplink_t *uplink, flk_kind_t kind) {
    return say(uplink, &(flk_frame_t){.kind = kind, .id = uplink->greeting.id, .known = true});
}

void flk_uplink_fini(flk_uplink_t *uplink) {
    if (uplink->state == FLK_UPLINK_UP) {
        (void)say_kind(uplink, FLK_GOODBYE);
    }
    flk_link_close(&uplink->socket);
    uplink->state = FLK_UPLINK_DOWN;
}

void flk_uplink_drop(flk_uplink_t *uplink, uint64_t now_ms) {
    flk_link_close(&uplink->socket);
    uplink->state = FLK_UPLINK_DOWN;
    uplink->credit = 0;
    /* Half of the back-off is chance, so that peers of one lost broker do not come back together. */
    uint32_t half = uplink->backoff_ms / 2;
    uplink->retry_at_ms = now_ms + half + flk_random_u64() % (half + 1);
    uplink->backoff_ms *= 2;
    if (uplink->backoff_ms > FLK_UPLINK_BACKOFF_MS_MAX) {
        uplink->backoff_ms = FLK_UPLINK_BACKOFF_MS_MAX;
    }
}

static void greet(flk_uplink_t *uplink, uint64_t now_ms) {
    uplink->state = FLK_UPLINK_GREETING;
    uplink->credit = 0;
    /* Until the connection stands a send fails (ZMQ_IMMEDIATE): the next tick tries again. */
    if (say(uplink, &uplink->greeting)) {
        uplink->spoke_ms = now_ms;
    } else {
        uplink->spoke_ms = 0;
    }
}

/* Once for each time that the link was up, or the process started. */
static void complain(flk_uplink_t *uplink, const char *why) {
    if (!uplink->complained) {
        flk_log(FLK_LOG_WARN, "link_not_made", FLK_S("endpoint", uplink->endpoint), FLK_S("why", why));
        uplink->complained = true;
    }
}

static flk_uplink_event_t tick_down(flk_uplink_t *uplink, uint64_t now_ms) {
    if (now_ms < uplink->retry_at_ms) {
        return FLK_UPLINK_NOTHING;
    }
    if (uplink->socket == NULL) {
        char errmsg[FLK_ERRMSG_BYTES];
        flk_err_t err = dial(uplink, now_ms, errmsg);
        if (err == FLK_E_AGAIN) {
            return FLK_UPLINK_NOTHING; /* the next tick asks again */
        }
        if (err != FLK_OK) {
            complain(uplink, errmsg);
            flk_uplink_drop(uplink, now_ms); /* no such name, nobody to trust, out of sockets or memory: passing */
            return FLK_UPLINK_NOTHING;
        }
    }
    uplink->heard_ms = now_ms;
    greet(uplink, now_ms);
    return FLK_UPLINK_NOTHING;
}

/* How long nothing may be heard before the next key is tried. A handshake takes a few round trips; one with the wrong
 * key never ends, so a short time is tried first. Once it stands (the greeting could be sent), the other side's
 * heartbeat counts. */
static uint64_t patience_ms(const flk_uplink_t *uplink) {
    uint64_t beats_ms = (uint64_t)uplink->heartbeat_ms * FLK_UPLINK_MISSES;
    uint64_t longest_ms = beats_ms > FLK_UPLINK_TRY_MS_MAX ? beats_ms : FLK_UPLINK_TRY_MS_MAX;
    uint64_t handshake_ms = FLK_UPLINK_TRY_MS_MIN * ((uint64_t)uplink->tries + 1);
    return uplink->spoke_ms != 0 || handshake_ms > longest_ms ? longest_ms : handshake_ms;
}

/* Whether the name stands for other addresses than the one that is dialled in vain, or for more of them. Asking looks
 * it up anew. */
static bool is_elsewhere(const flk_uplink_t *uplink, uint64_t now_ms) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_addresses_t addresses;
    if (uplink->host[0] == '\0' || flk_resolve(uplink->host, now_ms, &addresses, errmsg) != FLK_OK) {
        return false;
    }
    for (size_t i = 0; i < addresses.len; i++) {
        if (strcmp(addresses.text[i], uplink->address) == 0) {
            return addresses.len > 1 && now_ms - uplink->heard_ms > FLK_UPLINK_TRY_MS_MAX / addresses.len;
        }
    }
    return true;
}

static flk_uplink_event_t tick_greeting(flk_uplink_t *uplink, uint64_t now_ms) {
    if (is_elsewhere(uplink, now_ms)) {
        uplink->address_turn++;
        flk_uplink_drop(uplink, now_ms);
        return FLK_UPLINK_NOTHING;
    }
    if (uplink->server.key[0] != '\0' && now_ms - uplink->heard_ms > patience_ms(uplink)) {
        complain(uplink,
                 "no welcome: nothing listens there, its key is none that FLK_CURVE_DIR trusts, or ours is not in its "
                 "FLK_CURVE_DIR");
        uplink->server.turn++;
        uplink->tries++;
        flk_uplink_drop(uplink, now_ms);
        return FLK_UPLINK_NOTHING;
    }
    /* libzmq goes on connecting underneath, so silence here needs no new socket, only a new greeting. */
    uint32_t period = uplink->spoke_ms == 0 ? 0 : uplink->heartbeat_ms;
    if (now_ms - uplink->spoke_ms >= period) {
        greet(uplink, now_ms);
    }
    return FLK_UPLINK_NOTHING;
}

static flk_uplink_event_t tick_up(flk_uplink_t *uplink, uint64_t now_ms) {
    if (now_ms - uplink->heard_ms > (uint64_t)uplink->heartbeat_ms * FLK_UPLINK_MISSES) {
        flk_uplink_drop(uplink, now_ms);
        return FLK_UPLINK_LOST;
    }
    if (now_ms - uplink->spoke_ms >= uplink->heartbeat_ms) {
        if (!say_kind(uplink, FLK_PING)) {
            flk_uplink_drop(uplink, now_ms);
            return FLK_UPLINK_LOST;
        }
        uplink->spoke_ms = now_ms;
    }
    return FLK_UPLINK_NOTHING;
}

flk_uplink_event_t flk_uplink_tick(flk_uplink_t *uplink, uint64_t now_ms) {
    if (uplink->socket != NULL && uplink->server.key[0] != '\0' &&
        !flk_security_trusts(uplink->security, uplink->server.key, now_ms)) {
        bool up = uplink->state == FLK_UPLINK_UP;
        complain(uplink, "the server's key is not in FLK_CURVE_DIR any more");
        flk_uplink_drop(uplink, now_ms);
        return up ? FLK_UPLINK_LOST : FLK_UPLINK_NOTHING;
    }
    switch (uplink->state) {
    case FLK_UPLINK_DOWN:
        return tick_down(uplink, now_ms);
    case FLK_UPLINK_GREETING:
        return tick_greeting(uplink, now_ms);
    case FLK_UPLINK_UP:
        return tick_up(uplink, now_ms);
    }
    FLK_ASSERT(false && "an uplink's state");
}

static flk_uplink_event_t welcomed(flk_uplink_t *uplink, const flk_frame_t *frame, uint64_t now_ms) {
    uplink->state = FLK_UPLINK_UP;
    uplink->credit = frame->credit;
    uplink->complained = false;
    uplink->tries = 0;
    uplink->backoff_ms = FLK_UPLINK_BACKOFF_MS_MIN;
    uplink->spoke_ms = now_ms;
    return FLK_UPLINK_MET;
}

flk_uplink_event_t flk_uplink_heard(flk_uplink_t *uplink, const flk_frame_t *frame, uint64_t now_ms) {
    uplink->heard_ms = now_ms;
    bool up = uplink->state == FLK_UPLINK_UP;
    switch (frame->kind) {
    case FLK_WELCOME:
        return welcomed(uplink, frame, now_ms);
    case FLK_PING:
        (void)say_kind(uplink, FLK_PONG); /* a failed send is found by the next PING of ours */
        return FLK_UPLINK_NOTHING;
    case FLK_PONG:
        if (frame->known || !up) {
            return FLK_UPLINK_NOTHING;
        }
        greet(uplink, now_ms);
        return FLK_UPLINK_LOST;
    case FLK_GOODBYE:
        flk_uplink_drop(uplink, now_ms);
        return up ? FLK_UPLINK_LOST : FLK_UPLINK_NOTHING;
    default:
        return FLK_UPLINK_YOURS;
    }
}

void flk_uplink_own_name(const char *role, char name[FLK_NAME_MAX + 1]) {
    char host[FLK_NAME_MAX - 11]; /* room for a colon and any number */
    if (gethostname(host, sizeof host) != 0) {
        snprintf(host, sizeof host, "%s", role);
    }
    host[sizeof host - 1] = '\0';
    for (char *at = host; *at != '\0'; at++) {
        *at = *at > ' ' && *at < 127 ? *at : '_';
    }
    snprintf(name, FLK_NAME_MAX + 1, "%s:%d", host, (int)getpid());
}
