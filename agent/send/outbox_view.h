/* SPDX-License-Identifier: MIT */
/* The open records of an outbox or a dead-letter queue, read beside a running agent without disturbing it. A record is
 * open until its ack. Memory grows with the records on disk (24 bytes each), not with their bodies. One thread. */
#ifndef FLK_AGENT_SEND_OUTBOX_VIEW_H
#define FLK_AGENT_SEND_OUTBOX_VIEW_H

#include "common/program/settings.h"

typedef struct flk_outbox_view flk_outbox_view_t; /* Opaque; fields are commented in outbox_view.c. */

/* `name` is "outbox" or "outbox-dlq"; a log that does not exist holds nothing. Errors: FLK_E_IO, FLK_E_NOMEM. Caller
 * frees with flk_outbox_view_destroy. */
FLK_MUST_CHECK flk_err_t flk_outbox_view_new(const flk_settings_t *settings, const char *name, flk_outbox_view_t **view,
                                             char *errmsg);
void flk_outbox_view_destroy(flk_outbox_view_t **view);

uint64_t flk_outbox_view_len(const flk_outbox_view_t *view);
double flk_outbox_view_oldest_s(const flk_outbox_view_t *view); /* age of the oldest one; 0 without one */

/* One open record. In the dead-letter queue the reason is a line of its own; else it is empty. Not NUL-terminated. */
typedef struct flk_outbox_item {
    uint64_t lsn;
    double age_s;
    const char *reason, *json;
    size_t reason_bytes, json_bytes;
} flk_outbox_item_t;

/* Returns false to stop. The item is borrowed until return. */
typedef bool flk_outbox_visit_fn(void *arg, const flk_outbox_item_t *item);

/* Reads the log again and shows each open record in the order of their LSN. Errors: FLK_E_IO. */
FLK_MUST_CHECK flk_err_t flk_outbox_view_visit(const flk_outbox_view_t *view, flk_outbox_visit_fn *visit, void *arg,
                                               char *errmsg);

#endif
