/* SPDX-License-Identifier: MIT */
/* Records come in the order of their LSN, each ack behind its record: one pass with a sorted list finds those that
 * are open, a second pass shows their bodies. Quarantined segments are passed over: all that could be salvaged from
 * them was written again. */
#include "agent/send/outbox_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/wal/read.h"

typedef struct seen_record {
    uint64_t lsn;
    int64_t time_ms;
    bool acked;
} seen_record_t;

struct flk_outbox_view {
    char dir[4096];
    bool dead; /* a body begins with the line of its reason */
    seen_record_t *records;
    size_t len, max;
    uint64_t open;
    int64_t oldest_ms;
    bool out_of_memory;
};

/* One pass that shows bodies. */
typedef struct showing {
    const flk_outbox_view_t *view;
    flk_outbox_visit_fn *visit;
    void *arg;
    uint64_t last_lsn; /* a record that was written again comes twice */
} showing_t;

static bool keep_record(flk_outbox_view_t *view, const flk_wal_record_t *record) {
    if (view->len > 0 && record->lsn <= view->records[view->len - 1].lsn) {
        return true;
    }
    if (view->len == view->max) {
        size_t max = view->max == 0 ? 1024 : view->max * 2;
        seen_record_t *larger = realloc(view->records, max * sizeof *larger);
        if (larger == NULL) {
            view->out_of_memory = true;
            return false;
        }
        view->records = larger;
        view->max = max;
    }
    view->records[view->len++] = (seen_record_t){.lsn = record->lsn, .time_ms = record->time_ms};
    return true;
}

static int compare_lsn(const void *key, const void *element) {
    uint64_t lsn = *(const uint64_t *)key, other = ((const seen_record_t *)element)->lsn;
    return lsn < other ? -1 : lsn > other;
}

static seen_record_t *find_record(const flk_outbox_view_t *view, uint64_t lsn) {
    return view->len == 0 ? NULL : bsearch(&lsn, view->records, view->len, sizeof *view->records, compare_lsn);
}

static bool is_quarantined(const flk_wal_item_t *item) {
    static const char end[] = ".damaged";
    size_t name_bytes = strlen(item->segment), end_bytes = sizeof end - 1;
    return name_bytes > end_bytes && strcmp(item->segment + name_bytes - end_bytes, end) == 0;
}

static bool note_item(void *arg, const flk_wal_item_t *item) {
    flk_outbox_view_t *view = arg;
    if (is_quarantined(item)) {
        return true;
    }
    if (item->type == FLK_WAL_ITEM_RECORD) {
        return keep_record(view, &item->record);
    }
    seen_record_t *record = item->type == FLK_WAL_ITEM_ACK ? find_record(view, item->acked_lsn) : NULL;
    if (record != NULL) {
        record->acked = true;
    }
    return true;
}

static void count_open(flk_outbox_view_t *view) {
    for (size_t i = 0; i < view->len; i++) {
        if (!view->records[i].acked) {
            view->oldest_ms = view->open == 0 ? view->records[i].time_ms : view->oldest_ms;
            view->open++;
        }
    }
}

flk_err_t flk_outbox_view_new(const flk_settings_t *settings, const char *name, flk_outbox_view_t **out, char *errmsg) {
    flk_outbox_view_t *view = flk_start_alloc(sizeof *view);
    snprintf(view->dir, sizeof view->dir, "%s/%s", flk_settings_str(settings, FLK_SET_DATA_DIR), name);
    view->dead = strcmp(name, "outbox-dlq") == 0;
    flk_err_t err = flk_wal_read(view->dir, note_item, view, errmsg);
    if (view->out_of_memory) {
        flk_errmsg(errmsg, "out of memory");
        err = FLK_E_NOMEM;
    }
    if (err != FLK_OK && err != FLK_E_NOT_FOUND) {
        flk_outbox_view_destroy(&view);
        return err;
    }
    count_open(view);
    *out = view;
    return FLK_OK;
}

void flk_outbox_view_destroy(flk_outbox_view_t **view) {
    if (*view != NULL) {
        free((*view)->records);
        free(*view);
        *view = NULL;
    }
}

uint64_t flk_outbox_view_len(const flk_outbox_view_t *view) {
    return view->open;
}

static double age_s(int64_t time_ms) {
    int64_t age_ms = flk_wall_ms() - time_ms;
    return age_ms > 0 ? (double)age_ms / 1000 : 0;
}

double flk_outbox_view_oldest_s(const flk_outbox_view_t *view) {
    return view->open == 0 ? 0 : age_s(view->oldest_ms);
}

static bool show_item(void *arg, const flk_wal_item_t *item) {
    showing_t *showing = arg;
    if (is_quarantined(item) || item->type != FLK_WAL_ITEM_RECORD || item->record.lsn <= showing->last_lsn) {
        return true;
    }
    const seen_record_t *record = find_record(showing->view, item->record.lsn);
    if (record == NULL || record->acked) {
        return true;
    }
    showing->last_lsn = record->lsn;
    flk_outbox_item_t shown = {.lsn = record->lsn,
                               .age_s = age_s(record->time_ms),
                               .reason = item->record.body,
                               .json = item->record.body,
                               .json_bytes = item->record.body_bytes};
    const char *line_end = showing->view->dead ? memchr(shown.json, '\n', shown.json_bytes) : NULL;
    if (line_end != NULL) {
        shown.reason_bytes = (size_t)(line_end - shown.json);
        shown.json += shown.reason_bytes + 1;
        shown.json_bytes -= shown.reason_bytes + 1;
    }
    return showing->visit(showing->arg, &shown);
}

flk_err_t flk_outbox_view_visit(const flk_outbox_view_t *view, flk_outbox_visit_fn *visit, void *arg, char *errmsg) {
    showing_t showing = {.view = view, .visit = visit, .arg = arg};
    if (view->open == 0) {
        return FLK_OK;
    }
    return flk_wal_read(view->dir, show_item, &showing, errmsg);
}
