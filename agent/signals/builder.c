/* SPDX-License-Identifier: MIT */
/*   1. rows -> Merkle root and r; the root gives the seed.
 *   2. rows without a missing cell -> points, one array an axis.
 *   3. points -> N_j for each scale -> D_hat; points and seed -> coh_star, v_star.
 *   4. regime, budget, id, signature. */
#include "agent/signals/builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/signals/compress.h"
#include "common/pcs/signals.h"

struct flk_builder {
    flk_builder_options_t options;
    const flk_columns_t *columns;
    const flk_signer_t *signer;
    flk_boxcount_t *boxcount;
    flk_compress_t *compress;
    double *axes; /* columns.len arrays of axis_max */
    size_t axis_max;
};

flk_builder_t *flk_builder_new(const flk_builder_options_t *options, const flk_columns_t *columns,
                               const flk_signer_t *signer) {
    flk_builder_t *builder = flk_start_alloc(sizeof *builder);
    builder->options = *options;
    builder->columns = columns;
    builder->signer = signer;
    builder->boxcount = flk_boxcount_new();
    builder->compress = flk_compress_new();
    FLK_ASSERT(builder->compress != NULL);
    return builder;
}

void flk_builder_destroy(flk_builder_t **builder) {
    if (*builder == NULL) {
        return;
    }
    flk_boxcount_destroy(&(*builder)->boxcount);
    flk_compress_destroy(&(*builder)->compress);
    free((*builder)->axes);
    free(*builder);
    *builder = NULL;
}

static void degrade(flk_pcs_t *pcs, const char *kind, const char *what) {
    pcs->degraded = true;
    if (pcs->fallbacks_len == FLK_PCS_FALLBACKS_MAX) {
        return;
    }
    char *text = pcs->fallbacks[pcs->fallbacks_len++];
    size_t kind_bytes = (size_t)snprintf(text, FLK_PCS_FALLBACK_MAX + 1, "%s:", kind);
    size_t i = 0;
    for (; what[i] != '\0' && kind_bytes + i < FLK_PCS_FALLBACK_MAX; i++) {
        bool plain = (what[i] >= 'a' && what[i] <= 'z') || (what[i] >= 'A' && what[i] <= 'Z') ||
                     (what[i] >= '0' && what[i] <= '9') || strchr("._-", what[i]) != NULL;
        text[kind_bytes + i] = what[i];
        if (!plain) {
            text[kind_bytes + i] = '_';
        }
    }
    text[kind_bytes + i] = '\0';
}

/* Merkle root, r, and missing cells. */
static void summarise_rows(flk_builder_t *builder, const flk_window_t *window, flk_pcs_t *pcs, flk_hash_t *root) {
    flk_merkle_t merkle;
    uint64_t missing = 0;
    flk_merkle_init(&merkle);
    flk_compress_begin(builder->compress);
    for (size_t i = 0; i < window->rows_len; i++) {
        const flk_window_row_t *row = window->rows[i];
        flk_merkle_add(&merkle, &row->leaf);
        flk_compress_add(builder->compress, row->text, row->text_bytes);
        missing |= row->missing;
    }
    flk_merkle_root(&merkle, root);
    pcs->r = flk_compress_ratio(builder->compress);
    for (size_t i = 0; i < FLK_HASH_BYTES; i++) {
        snprintf(pcs->merkle_root + 2 * i, 3, "%02x", root->bytes[i]);
    }
    if ((missing & FLK_MISSING_TIME) != 0) {
        degrade(pcs, "missing", builder->columns->time_name);
    }
    for (size_t i = 0; i < builder->columns->len; i++) {
        if ((missing >> i & 1) != 0) {
            degrade(pcs, "missing", builder->columns->names[i]);
        }
    }
}

/* Transposes the rows that have all their cells. */
static flk_err_t collect_points(flk_builder_t *builder, const flk_window_t *window, flk_points_t *points) {
    size_t dims = builder->columns->len;
    if (builder->axis_max < window->rows_len) {
        free(builder->axes);
        builder->axes = calloc(window->rows_len, dims * sizeof(double));
        builder->axis_max = builder->axes == NULL ? 0 : window->rows_len;
        if (builder->axes == NULL) {
            return FLK_E_NOMEM;
        }
    }
    points->dims = dims;
    points->len = 0;
    for (size_t axis = 0; axis < dims; axis++) {
        points->axis[axis] = builder->axes + axis * builder->axis_max;
    }
    for (size_t i = 0; i < window->rows_len; i++) {
        const flk_window_row_t *row = window->rows[i];
        if ((row->missing & ~FLK_MISSING_TIME) != 0) {
            continue;
        }
        for (size_t axis = 0; axis < dims; axis++) {
            builder->axes[axis * builder->axis_max + points->len] = row->values[axis];
        }
        points->len++;
    }
    return FLK_OK;
}

/* Of the policy, for the shard that the PCS are of. */
static const flk_terms_t *terms_of(const flk_builder_t *builder) {
    const flk_policy_t *policy = &builder->options.policy;
    return flk_policy_terms(policy, flk_policy_block(policy, builder->options.shard_id));
}

/* N_j and D_hat. */
static flk_err_t count_boxes(flk_builder_t *builder, const flk_points_t *points, flk_pcs_t *pcs) {
    const flk_builder_options_t *options = &builder->options;
    uint64_t usable[FLK_PCS_SCALES_MAX];
    size_t usable_len = 0;
    for (size_t i = 0; i < options->scales_len; i++) {
        uint64_t scale = options->scales[i], cells;
        flk_err_t err = flk_box_count(builder->boxcount, points, options->grid, scale, &cells);
        if (err == FLK_E_NOMEM) {
            return err;
        }
        pcs->scales[pcs->scales_len++] = scale;
        if (err == FLK_E_INVALID) {
            char text[24];
            snprintf(text, sizeof text, "%llu", (unsigned long long)scale);
            degrade(pcs, "scale", text);
            continue;
        }
        pcs->counts[pcs->counts_len++] = (flk_pcs_count_t){.scale = scale, .cells = cells};
        usable[usable_len++] = scale;
    }
    if (points->len == 0) {
        degrade(pcs, "points", "none");
    } else if (!flk_theil_sen(usable, usable_len, pcs->counts, pcs->counts_len, terms_of(builder)->median,
                              &pcs->d_hat)) {
        degrade(pcs, "D_hat", "scales");
    }
    return FLK_OK;
}

/* coh_star and v_star. */
static flk_err_t find_coherence(const flk_builder_t *builder, const flk_points_t *points, flk_pcs_t *pcs) {
    if (points->len == 0) {
        return FLK_OK;
    }
    flk_coherence_options_t options = {
        .seed = pcs->seed, .directions = builder->options.directions, .bins = builder->options.bins};
    flk_coherence_t coherence;
    pcs->v_star = calloc(points->dims, sizeof *pcs->v_star);
    flk_err_t err = pcs->v_star == NULL ? FLK_E_NOMEM : flk_coherence(points, &options, &coherence);
    if (err == FLK_OK) {
        pcs->coh_star = coherence.coh_star;
        pcs->v_star_len = (uint32_t)points->dims;
        memcpy(pcs->v_star, coherence.v_star, points->dims * sizeof *pcs->v_star);
    }
    return err;
}

static uint64_t seed_of(const flk_builder_options_t *options, const flk_hash_t *root) {
    if (options->has_seed) {
        return options->seed;
    }
    uint64_t seed = 0;
    for (size_t i = 0; i < sizeof seed; i++) {
        seed = seed << 8 | root->bytes[i];
    }
    return seed & FLK_PCS_INTEGER_MAX;
}

void flk_sent_at_now(char out[FLK_PCS_SENT_AT_MAX + 1]) {
    int64_t now_ms = flk_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    char whole[24];
    gmtime_r(&seconds, &utc);
    strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, FLK_PCS_SENT_AT_MAX + 1, "%s.%03dZ", whole, (int)(now_ms % 1000));
}

flk_err_t flk_builder_build(flk_builder_t *builder, const flk_window_t *window, flk_pcs_t *pcs) {
    flk_pcs_init(pcs);
    snprintf(pcs->version, sizeof pcs->version, "%s", FLK_PCS_VERSION);
    snprintf(pcs->shard_id, sizeof pcs->shard_id, "%s", builder->options.shard_id);
    pcs->epoch = builder->options.first_epoch + window->number;
    pcs->has_ft = pcs->has_attempt = pcs->has_seed = true;
    pcs->attempt = 1;
    flk_sent_at_now(pcs->sent_at);

    flk_hash_t root;
    flk_points_t points;
    summarise_rows(builder, window, pcs, &root);
    pcs->seed = seed_of(&builder->options, &root);
    flk_err_t err = collect_points(builder, window, &points);
    err = err == FLK_OK ? count_boxes(builder, &points, pcs) : err;
    err = err == FLK_OK ? find_coherence(builder, &points, pcs) : err;
    if (err != FLK_OK) {
        flk_pcs_fini(pcs);
        return err;
    }
    pcs->regime = flk_regime(terms_of(builder), pcs->coh_star, pcs->d_hat);
    pcs->budget = flk_budget(terms_of(builder), pcs->d_hat, pcs->coh_star, pcs->r);
    flk_pcs_set_id(pcs);
    flk_signer_sign(builder->signer, pcs);
    return FLK_OK;
}
