/* SPDX-License-Identifier: MIT */
/* From a window to a signed PCS. A value that cannot be computed is flagged, never invented: ft.degraded is then true
 * and ft.fallbacks names the reasons:
 *   missing:<column>  some row lacks this cell; the row stays in the Merkle root and r, but is no point
 *   missing:time      some row lacks its time (windows by count only)
 *   points:none       no row is a point: N_j 0, D_hat 0, coh_star 0
 *   scale:<scale>     the absolute grid is too fine for these coordinates; N_j lacks the scale
 *   D_hat:scales      fewer than two scales could be used: D_hat 0
 * Characters of a column's name other than letters, digits, '.', '_' and '-' are written as '_'. */
#ifndef FLK_AGENT_SIGNALS_BUILDER_H
#define FLK_AGENT_SIGNALS_BUILDER_H

#include "agent/signals/boxcount.h"
#include "agent/signals/coherence.h"
#include "agent/signals/window.h"
#include "common/pcs/keys.h"
#include "common/pcs/pcs.h"
#include "common/pcs/policy.h"

typedef struct flk_builder_options {
    const char *shard_id; /* 1-128 of A-Z a-z 0-9 . _ : - */
    uint64_t scales[FLK_PCS_SCALES_MAX];
    size_t scales_len;
    flk_grid_t grid;
    uint32_t directions, bins;
    bool has_seed;        /* false: the seed is taken from the Merkle root, so directions cannot be chosen to suit */
    uint64_t seed;        /* <= FLK_PCS_INTEGER_MAX */
    uint64_t first_epoch; /* added to a window's number */
    flk_policy_t policy;  /* for D_hat, regime and budget */
} flk_builder_options_t;

typedef struct flk_builder flk_builder_t; /* Scratch memory, reused from window to window. One thread. */

/* Start-up allocation. Copies options; keeps `columns` and `signer` until flk_builder_destroy. */
flk_builder_t *flk_builder_new(const flk_builder_options_t *options, const flk_columns_t *columns,
                               const flk_signer_t *signer);
void flk_builder_destroy(flk_builder_t **builder);

/* Fills and signs `pcs`; attempt is 1, sent_at now, ft.outbox_seq absent. Caller frees with flk_pcs_fini on FLK_OK.
 * Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_builder_build(flk_builder_t *builder, const flk_window_t *window, flk_pcs_t *pcs);

/* The wall clock as RFC 3339 in UTC with milliseconds. */
void flk_sent_at_now(char out[FLK_PCS_SENT_AT_MAX + 1]);

#endif
