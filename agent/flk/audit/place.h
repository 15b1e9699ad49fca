/* SPDX-License-Identifier: MIT */
/* The place of a log to be read: a directory, or a URL that one connection is kept to. One thread. */
#ifndef FLK_AGENT_FLK_AUDIT_PLACE_H
#define FLK_AGENT_FLK_AUDIT_PLACE_H

#include "common/tlog/tiles.h"

typedef struct flk_audit_place {
    const char *where; /* kept */
    void *curl;        /* NULL: a directory */
} flk_audit_place_t;

/* Errors: FLK_E_NOMEM. Caller frees with _fini. */
FLK_MUST_CHECK flk_err_t flk_audit_place_init(flk_audit_place_t *place, const char *where, char *errmsg);
void flk_audit_place_fini(flk_audit_place_t *place);

/* The place must outlive the source. */
flk_tlog_source_t flk_audit_place_source(flk_audit_place_t *place);

#endif
