/* SPDX-License-Identifier: MIT */
/* put -> a place in the window -> SUBMIT when the link is up and credit is left -> VERDICT: answered; UNAVAILABLE or
 * BUSY: again after the time it names. A lost link takes all that was sent with it: it is sent again after the next
 * acquaintance. The id of a submission is the same however often it is sent. Without any verdict for PATIENCE_MS it
 * gives up. */
#include "gateway/replay/resend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/program/program.h"
#include "gateway/replay/options.h"
#include "proto/body.h"
#include "proto/uplink.h"

enum {
    WINDOW = 256,
    PATIENCE_MS = 30000,
    SILENCE_MS = 3000,
    HEARTBEAT_MS = 1000,
    RETRY_MS_MIN = 100,
    TURN_FRAMES_MAX = 256
};

typedef struct place {
    uint64_t lsn; /* 0: free */
    bool sent;    /* over the link as it is now */
    uint64_t not_before_ms;
    zmq_msg_t body; /* shared with the message that is sent */
} place_t;

struct flk_resend {
    void *context;
    flk_uplink_t uplink;
    bool has_uplink, told_silence;
    uint64_t session; /* random: in place of a log's id in the ids of the submissions */
    place_t places[WINDOW];
    size_t used, sent;
    uint64_t progress_ms; /* the last verdict, or since when there is something to wait for */
    flk_message_t message;
    flk_resend_counts_t counts;
    flk_resend_answered_fn *answered; /* NULL: nobody asks */
    void *arg;
};

flk_err_t flk_resend_open(const char *endpoint, const flk_security_t *security, flk_resend_t **resend, char *errmsg) {
    flk_resend_t *mine = flk_start_alloc(sizeof *mine);
    flk_frame_t hello = {.kind = FLK_HELLO, .name = "flk-replay"};
    flk_id_random(&hello.id);
    mine->session = flk_random_u64();
    mine->context = zmq_ctx_new();
    flk_message_init(&mine->message);
    *resend = mine;
    if (mine->context == NULL) {
        flk_errmsg(errmsg, "out of memory");
        flk_resend_close(resend);
        return FLK_E_NOMEM;
    }
    flk_err_t err =
        flk_uplink_init(&mine->uplink, mine->context, endpoint, security, &hello, HEARTBEAT_MS, flk_mono_ms(), errmsg);
    mine->has_uplink = err == FLK_OK;
    if (err != FLK_OK) {
        flk_resend_close(resend);
    }
    return err;
}

static void free_place(flk_resend_t *resend, place_t *place) {
    resend->sent -= place->sent;
    resend->used--;
    zmq_msg_close(&place->body);
    *place = (place_t){0};
}

void flk_resend_close(flk_resend_t **resend) {
    flk_resend_t *mine = *resend;
    *resend = NULL;
    if (mine == NULL) {
        return;
    }
    for (size_t i = 0; i < WINDOW; i++) {
        if (mine->places[i].lsn != 0) {
            free_place(mine, &mine->places[i]);
        }
    }
    if (mine->has_uplink) {
        flk_uplink_fini(&mine->uplink);
    }
    flk_message_fini(&mine->message);
    if (mine->context != NULL) {
        zmq_ctx_term(mine->context);
    }
    free(mine);
}

void flk_resend_on_answer(flk_resend_t *resend, flk_resend_answered_fn *answered, void *arg) {
    resend->answered = answered;
    resend->arg = arg;
}

uint64_t flk_resend_oldest(const flk_resend_t *resend) {
    uint64_t oldest = UINT64_MAX;
    for (size_t i = 0; i < WINDOW; i++) {
        if (resend->places[i].lsn != 0 && resend->places[i].lsn < oldest) {
            oldest = resend->places[i].lsn;
        }
    }
    return oldest;
}

flk_resend_counts_t flk_resend_counts(const flk_resend_t *resend) {
    return resend->counts;
}

/* ---- answers ---- */

static place_t *find_place(flk_resend_t *resend, const flk_id_t *id) {
    uint64_t lsn;
    if (!flk_id_to_lsn(id, resend->session, &lsn) || lsn == 0) {
        return NULL;
    }
    for (size_t i = 0; i < WINDOW; i++) {
        if (resend->places[i].lsn == lsn) {
            return &resend->places[i];
        }
    }
    return NULL; /* answered before */
}

static void count(flk_resend_counts_t *counts, const flk_frame_t *frame) {
    counts->answered++;
    counts->accepted += frame->status == 200;
    counts->escalated += frame->status == 202;
    counts->refused += frame->status != 200 && frame->status != 202;
    counts->duplicates += (frame->flags & FLK_FLAG_DUPLICATE) != 0;
    counts->conflicts += (frame->flags & FLK_FLAG_CONFLICT) != 0;
}

static void take_answer(flk_resend_t *resend, uint64_t now_ms) {
    const flk_frame_t *frame = &resend->message.frame;
    place_t *place = find_place(resend, &frame->id);
    if (place == NULL) {
        return;
    }
    if (frame->kind == FLK_VERDICT) {
        count(&resend->counts, frame);
        if (resend->answered != NULL) {
            resend->answered(resend->arg, place->lsn, frame);
        }
        resend->progress_ms = now_ms;
        free_place(resend, place);
    } else if ((frame->kind == FLK_UNAVAILABLE || frame->kind == FLK_BUSY) && place->sent) {
        resend->counts.put_off++;
        resend->sent--;
        place->sent = false;
        place->not_before_ms = now_ms + (frame->retry_ms > RETRY_MS_MIN ? frame->retry_ms : RETRY_MS_MIN);
    }
}

static void take_event(flk_resend_t *resend, flk_uplink_event_t event, uint64_t now_ms) {
    if (event == FLK_UPLINK_YOURS) {
        take_answer(resend, now_ms);
    } else if (event == FLK_UPLINK_MET || event == FLK_UPLINK_LOST) {
        for (size_t i = 0; i < WINDOW; i++) {
            resend->places[i].sent = false;
        }
        resend->sent = 0;
    }
}

static bool receive(flk_resend_t *resend, uint64_t now_ms) {
    bool any = false;
    for (int i = 0; i < TURN_FRAMES_MAX && resend->uplink.socket != NULL; i++) {
        flk_err_t err = flk_link_recv(resend->uplink.socket, false, &resend->message, NULL);
        if (err == FLK_E_AGAIN || err == FLK_E_CLOSED) {
            break;
        }
        any = true;
        if (err == FLK_OK) { /* malformed and unknown frames are ignored */
            take_event(resend, flk_uplink_heard(&resend->uplink, &resend->message.frame, now_ms), now_ms);
        }
    }
    return any;
}

/* ---- sending ---- */

/* False: the link takes no more now. */
static bool send_place(flk_resend_t *resend, place_t *place) {
    flk_frame_t frame = {.kind = FLK_SUBMIT};
    flk_id_from_lsn(resend->session, place->lsn, &frame.id);
    zmq_msg_t body;
    zmq_msg_init(&body);
    if (zmq_msg_copy(&body, &place->body) != 0 || flk_link_send(resend->uplink.socket, NULL, &frame, &body) != FLK_OK) {
        zmq_msg_close(&body);
        return false;
    }
    place->sent = true;
    resend->sent++;
    return true;
}

static void send_waiting(flk_resend_t *resend, uint64_t now_ms) {
    for (size_t i = 0; i < WINDOW && resend->uplink.state == FLK_UPLINK_UP && resend->sent < resend->uplink.credit;
         i++) {
        place_t *place = &resend->places[i];
        if (place->lsn != 0 && !place->sent && place->not_before_ms <= now_ms && !send_place(resend, place)) {
            return;
        }
    }
}

/* Once, while the link does not come up: a door with keys says nothing to a peer without. */
static void tell_silence(flk_resend_t *resend, uint64_t now_ms) {
    if (resend->told_silence || resend->uplink.state == FLK_UPLINK_UP || resend->used == 0 ||
        now_ms - resend->progress_ms < SILENCE_MS) {
        return;
    }
    resend->told_silence = true;
    bool keyless = resend->uplink.security == NULL || !flk_security_has_key(resend->uplink.security);
    fprintf(stderr, "%s: no connection to %s yet; %s\n", flk_replay_title(), resend->uplink.endpoint,
            keyless ? "if it has CURVE keys, FLK_CURVE_KEY_FILE and FLK_CURVE_DIR must name ours"
                    : "it may not have our public key, or we not its");
}

static flk_err_t check_patience(flk_resend_t *resend, uint64_t now_ms, char *errmsg) {
    if (flk_program_stop_asked()) {
        flk_errmsg(errmsg, "stopped by a signal");
        return FLK_E_CLOSED;
    }
    tell_silence(resend, now_ms);
    if (resend->used > 0 && now_ms - resend->progress_ms > PATIENCE_MS) {
        flk_errmsg(errmsg, "no verdict from %s for %d s; see whether the gateway, a broker and a worker run",
                   resend->uplink.endpoint, PATIENCE_MS / 1000);
        return FLK_E_TIMEOUT;
    }
    return FLK_OK;
}

flk_err_t flk_resend_turn(flk_resend_t *resend, uint32_t wait_ms, char *errmsg) {
    uint64_t now_ms = flk_mono_ms();
    bool any = receive(resend, now_ms);
    take_event(resend, flk_uplink_tick(&resend->uplink, now_ms), now_ms);
    send_waiting(resend, now_ms);
    if (!any && wait_ms > 0) {
        zmq_pollitem_t item = {.socket = resend->uplink.socket, .events = ZMQ_POLLIN};
        (void)zmq_poll(&item, resend->uplink.socket != NULL ? 1 : 0, wait_ms < 10 ? (long)wait_ms : 10);
        (void)receive(resend, flk_mono_ms());
    }
    return check_patience(resend, flk_mono_ms(), errmsg);
}

static flk_err_t encode(const flk_pcs_t *pcs, zmq_msg_t *body) {
    uint8_t *bytes = malloc(flk_pcs_msgpack_bound(pcs));
    if (bytes == NULL) {
        return FLK_E_NOMEM;
    }
    size_t used = flk_pcs_to_msgpack(pcs, bytes);
    flk_err_t err = zmq_msg_init_size(body, used) == 0 ? FLK_OK : FLK_E_NOMEM;
    if (err == FLK_OK) {
        memcpy(zmq_msg_data(body), bytes, used);
    }
    free(bytes);
    return err;
}

flk_err_t flk_resend_put(flk_resend_t *resend, uint64_t lsn, const flk_pcs_t *pcs, char *errmsg) {
    flk_err_t err = FLK_OK;
    while (err == FLK_OK && resend->used == WINDOW) {
        err = flk_resend_turn(resend, 10, errmsg);
    }
    size_t free_at = 0;
    while (err == FLK_OK && resend->places[free_at].lsn != 0) {
        free_at++;
    }
    if (err == FLK_OK) {
        err = encode(pcs, &resend->places[free_at].body);
        flk_errmsg(err == FLK_OK ? NULL : errmsg, "out of memory");
    }
    if (err != FLK_OK) {
        return err;
    }
    resend->progress_ms = resend->used == 0 ? flk_mono_ms() : resend->progress_ms;
    resend->places[free_at].lsn = lsn;
    resend->used++;
    resend->counts.sent++;
    return flk_resend_turn(resend, 0, errmsg);
}

flk_err_t flk_resend_drain(flk_resend_t *resend, char *errmsg) {
    flk_err_t err = FLK_OK;
    while (err == FLK_OK && resend->used > 0) {
        err = flk_resend_turn(resend, 10, errmsg);
    }
    return err;
}
