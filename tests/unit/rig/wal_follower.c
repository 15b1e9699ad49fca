/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/wal_follower.h"

enum { OUTCOME_BYTES = 90 };
uint64_t marks_alone_to_lsn;

flk_wal_follow_t *follow_from(uint64_t after_lsn) {
    flk_wal_follow_t *follow;
    flk_err_t err = flk_wal_follow_open(dir, after_lsn, &follow, errmsg);
    ck_assert_msg(err == FLK_OK, "%s", errmsg);
    return follow;
}

static flk_wal_ending_t ending_of(uint64_t lsn, uint8_t outcome[FLK_WAL_OUTCOME_BYTES_MAX]) {
    flk_wal_ending_t ending = {.mark = {.status = lsn % 5 == 0 ? 202 : 200, .flags = 3, .detail = (uint32_t)lsn}};
    if (lsn % 3 != 0 && lsn > marks_alone_to_lsn) {
        ending.has_subject = lsn % 3 == 1;
        memset(ending.subject, ending.has_subject ? (int)lsn % 251 : 0, sizeof ending.subject);
        snprintf(ending.key, sizeof ending.key, "key-%d", (int)(lsn % 7));
        ending.outcome_bytes = (uint16_t)(OUTCOME_BYTES + lsn % 16);
        memset(outcome, (int)(lsn % 255), ending.outcome_bytes);
        ending.outcome = outcome;
    }
    return ending;
}

bool end_record(flk_wal_t *wal, uint64_t lsn) {
    uint8_t outcome[FLK_WAL_OUTCOME_BYTES_MAX];
    const flk_wal_ending_t ending = ending_of(lsn, outcome);
    return flk_wal_end(wal, lsn, &ending);
}

static void check_ending(uint64_t lsn, const flk_wal_ending_t *got) {
    uint8_t outcome[FLK_WAL_OUTCOME_BYTES_MAX];
    const flk_wal_ending_t want = ending_of(lsn, outcome);
    ck_assert(got->mark.status == want.mark.status && got->mark.flags == 3 && got->mark.detail == want.mark.detail);
    ck_assert(got->has_subject == want.has_subject && got->outcome_bytes == want.outcome_bytes);
    ck_assert_mem_eq(got->subject, want.subject, sizeof want.subject);
    ck_assert_str_eq(got->key, want.key);
    ck_assert(want.outcome_bytes == 0 || memcmp(got->outcome, want.outcome, want.outcome_bytes) == 0);
}

static void keep(told_t *told, uint64_t lsn, uint64_t record_lsn, uint64_t id, const flk_wal_ending_t *ending) {
    ck_assert_uint_lt(told->len, TOLD_MAX);
    ck_assert_msg(told->len == 0 || told->at[told->len - 1].lsn < lsn, "LSN %lu comes behind %lu", (unsigned long)lsn,
                  (unsigned long)told->at[told->len - 1].lsn);
    told->at[told->len++] = (told_outcome_t){.lsn = lsn,
                                             .record_lsn = record_lsn,
                                             .body_id = id,
                                             .status = ending->mark.status,
                                             .detail = ending->mark.detail};
}

void follow_take(flk_wal_follow_t *follow, told_t *told, uint32_t wait_ms) {
    flk_wal_follow_item_t item;
    flk_err_t err;
    while ((err = flk_wal_follow_next(follow, wait_ms, &item, errmsg)) == FLK_OK) {
        if (item.is_gap) {
            ck_assert_uint_lt(told->gaps_len, FLK_COUNT_OF(told->gaps));
            told->gaps[told->gaps_len++] =
                (told_gap_t){.from_lsn = item.gap_from_lsn, .lsn = item.lsn, .gap = item.gap};
            continue;
        }
        const flk_wal_record_t *record = &item.record;
        check_ending(record->lsn, &item.ending);
        keep(told, item.lsn, record->lsn, record->body == NULL ? NO_BODY : body_id(record->body, record->body_bytes),
             &item.ending);
    }
    ck_assert_msg(err == FLK_E_AGAIN, "%s: %s", flk_err_text(err), errmsg);
}

typedef struct plain {
    told_t *told;
    uint64_t ids[TOLD_MAX]; /* of records, by LSN */
    bool acked[TOLD_MAX];
} plain_t;

static bool plain_visit(void *arg, const flk_wal_item_t *item) {
    plain_t *plain = arg;
    ck_assert_msg(item->type != FLK_WAL_ITEM_DAMAGE && item->type != FLK_WAL_ITEM_MISSING, "damage in %s",
                  item->segment);
    if (item->type == FLK_WAL_ITEM_RECORD) {
        ck_assert_uint_lt(item->record.lsn, TOLD_MAX);
        plain->ids[item->record.lsn] = body_id(item->record.body, item->record.body_bytes);
    } else if (item->type == FLK_WAL_ITEM_ACK && !plain->acked[item->acked_lsn]) {
        plain->acked[item->acked_lsn] = true;
        keep(plain->told, item->record.lsn, item->acked_lsn, plain->ids[item->acked_lsn], &item->ending);
    }
    return true;
}

void plain_outcomes(told_t *told) {
    plain_t *plain = calloc(1, sizeof *plain);
    told->len = 0;
    plain->told = told;
    memset(plain->ids, 0xff, sizeof plain->ids);
    ck_assert_int_eq(flk_wal_read(dir, plain_visit, plain, errmsg), FLK_OK);
    free(plain);
}

void check_same(const told_t *followed, const told_t *plain, uint64_t after_lsn, const char *what) {
    size_t from = 0;
    while (from < plain->len && plain->at[from].lsn <= after_lsn) {
        from++;
    }
    for (size_t i = 0; i < followed->len && from + i < plain->len; i++) {
        const told_outcome_t *a = &followed->at[i], *b = &plain->at[from + i];
        ck_assert_msg(a->lsn == b->lsn && a->record_lsn == b->record_lsn && a->body_id == b->body_id &&
                          a->status == b->status && a->detail == b->detail,
                      "%s: outcome %zu is (%lu, %lu, %lu), a plain read has (%lu, %lu, %lu)", what, i,
                      (unsigned long)a->lsn, (unsigned long)a->record_lsn, (unsigned long)a->body_id,
                      (unsigned long)b->lsn, (unsigned long)b->record_lsn, (unsigned long)b->body_id);
    }
    ck_assert_msg(followed->len == plain->len - from, "%s: %zu outcomes, a plain read has %zu behind LSN %lu", what,
                  followed->len, plain->len - from, (unsigned long)after_lsn);
}
