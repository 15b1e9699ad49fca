/* SPDX-License-Identifier: MIT */
/* Keeps one connection to a store's server up. Connecting may take longer than a batch may (names, TLS, log-in), so
 * a thread of the dialer's own does it, whenever there is no connection and one is wanted. The dialer belongs to one
 * thread, the store's; so does the connection while it stands.
 *
 *            _get                        dialled
 *   IDLE ──────────────▶ DIALING ──────────────────▶ UP
 *    ▲                    │    ▲                      │
 *    │             failed ▼    │ back-off is over     │ _drop, or the peer has closed it
 *    │                   WAITING ◀────────────────────┘ (at once, when the connection had lasted or served)
 *    └── (every state ends with _destroy)
 */
#ifndef FLK_WORKER_STORE_DIALER_H
#define FLK_WORKER_STORE_DIALER_H

#include "worker/store/metrics.h"

typedef struct flk_dialer flk_dialer_t; /* Opaque. */

typedef struct flk_dialer_ops {
    /* Makes a connection. On the dialer's thread; blocks for about timeout_ms. On an error fault may say more. */
    flk_err_t (*dial)(void *arg, uint64_t timeout_ms, void **connection, flk_store_fault_t *fault, char *errmsg);
    /* Frees a connection. After a _drop it is called on the dialer's thread before the next dial, and may block for
     * about timeout_ms to end its work at the server. An idle one it frees at once. */
    void (*hang_up)(void *connection, uint64_t timeout_ms);
    /* True when the peer has closed an idle connection, or said something on it unasked. Does not block. NULL: cannot
     * tell. */
    bool (*is_closed)(void *connection);
    void (*free_arg)(void *arg); /* nobody needs arg any more; NULL: nothing to do */
} flk_dialer_ops_t;

typedef struct flk_dialer_options {
    const flk_dialer_ops_t *ops; /* kept */
    void *arg;                   /* taken, also on an error */
    const char *store, *server;  /* for the log; kept as long as arg */
    uint64_t timeout_ms;         /* of one attempt */
} flk_dialer_options_t;

/* Connects with nobody yet. Errors: FLK_E_NOMEM. Caller frees with flk_dialer_destroy. */
FLK_MUST_CHECK flk_err_t flk_dialer_new(const flk_dialer_options_t *options, flk_dialer_t **dialer, char *errmsg);
/* Hangs up. An attempt that is under way is waited for up to wait_ms, and then left to its thread. */
void flk_dialer_destroy(flk_dialer_t **dialer, uint64_t wait_ms);

/* The connection, the caller's to use until _drop. One that the peer closed while it was idle is replaced before. Where
 * there is none: the first attempt after a loss is waited for until deadline_ms (of flk_mono_ms); once an attempt
 * has failed, its error comes back at once while further ones go on behind. `metrics` are the store's. Errors: those
 * of dial, FLK_E_UNAVAILABLE; fault is set with them. */
FLK_MUST_CHECK flk_err_t flk_dialer_get(flk_dialer_t *dialer, const flk_store_metrics_t *metrics, uint64_t deadline_ms,
                                        void **connection, flk_store_fault_t *fault, char *errmsg);

typedef enum flk_dialer_cause {
    FLK_DIALER_FAILED, /* the connection failed, or is not to be trusted */
    FLK_DIALER_CLOSED, /* the peer had closed it before it answered anything of this use */
} flk_dialer_cause_t;

/* Hangs up and has another connection made. It is made at once when this one had lasted, or when it is CLOSED and had
 * served before; else after a back-off, and _get fails until then. `why` is logged. */
void flk_dialer_drop(flk_dialer_t *dialer, flk_dialer_cause_t cause, flk_store_fault_t fault, const char *why);

#endif
