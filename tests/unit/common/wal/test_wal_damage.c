/* SPDX-License-Identifier: MIT */
/* A log whose files were changed behind its back. */
#include <xxhash.h>

#include "common/wal/format.h"
#include "common/wal/path.h"
#include "tests/unit/rig/wal_fixture.h"

#ifdef __SANITIZE_THREAD__
enum { RUNS = 40 }; /* there is little for its eyes here */
#else
enum { RUNS = 500 };
#endif
enum { RECORDS = 240, ITEMS_MAX = 1024, FILES_MAX = 64, SEGMENT_BYTES = 8192 };

/* ---- a log as it was left, and the place of each item ---- */

typedef struct image_file {
    char name[64];
    uint8_t *data;
    size_t bytes;
} image_file_t;

typedef struct image_item {
    char segment[64];
    uint64_t offset, bytes, padding_bytes;
    bool is_ack;
    uint64_t id;        /* record */
    uint64_t acked_lsn; /* ack */
    uint64_t lsn;
} image_item_t;

typedef struct image {
    image_file_t files[FILES_MAX];
    size_t files_len;
    image_item_t items[ITEMS_MAX];
    size_t items_len;
    bool acked[RECORDS];
    uint64_t lsns[RECORDS];
} image_t;

static image_t image;

static bool note_item(void *arg, const flk_wal_item_t *item) {
    (void)arg;
    ck_assert_uint_lt(image.items_len, ITEMS_MAX);
    ck_assert_msg(item->type == FLK_WAL_ITEM_RECORD || item->type == FLK_WAL_ITEM_ACK, "type %d at %s:%d", item->type,
                  item->segment, (int)item->offset);
    image_item_t *noted = &image.items[image.items_len++];
    const uint64_t sound_bytes = 40 + (item->type == FLK_WAL_ITEM_ACK ? 16 : item->record.body_bytes);
    *noted = (image_item_t){.offset = item->offset,
                            .bytes = item->bytes,
                            .padding_bytes = item->bytes - sound_bytes,
                            .is_ack = item->type == FLK_WAL_ITEM_ACK,
                            .acked_lsn = item->acked_lsn,
                            .lsn = item->record.lsn};
    snprintf(noted->segment, sizeof noted->segment, "%s", item->segment);
    if (!noted->is_ack) {
        noted->id = body_id(item->record.body, item->record.body_bytes);
    }
    return true;
}

static void clear_dir(void) {
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s/*", dir);
    ck_assert_int_eq(system(command), 0);
}

static void image_free(void) {
    for (size_t i = 0; i < image.files_len; i++) {
        free(image.files[i].data);
    }
    image = (image_t){0};
}

/* Records over many segments, two of three acked, the acks some segments further on. `closed`: after a clean end, with
 * a checkpoint; else as after kill -9. */
static void image_make(bool closed) {
    image_free();
    flk_wal_t *wal = open_with((flk_wal_options_t){.segment_bytes_max = SEGMENT_BYTES});
    for (uint64_t id = 0; id < RECORDS; id++) {
        image.lsns[id] = append(wal, id);
        if (id >= 20 && (id - 20) % 3 != 0) {
            ack(wal, image.lsns[id - 20]);
            image.acked[id - 20] = true;
        }
    }
    ck_assert_int_eq(flk_wal_flush(wal, errmsg), FLK_OK);
    if (closed) {
        flk_wal_close(&wal);
    }
    names_t names = list_files("");
    for (size_t i = 0; i < names.len; i++) {
        if (names.at[i][0] != '.' && strcmp(names.at[i], "lock") != 0) {
            image_file_t *file = &image.files[image.files_len++];
            ck_assert_uint_le(image.files_len, FILES_MAX);
            strcpy(file->name, names.at[i]);
            file->bytes = load_file(file->name, &file->data);
        }
    }
    ck_assert_int_eq(flk_wal_read(dir, note_item, NULL, errmsg), FLK_OK);
    flk_wal_close(&wal);
}

static void image_restore(void) {
    clear_dir();
    for (size_t i = 0; i < image.files_len; i++) {
        store_file(image.files[i].name, image.files[i].data, image.files[i].bytes);
    }
}

static image_file_t *image_segment(uint64_t pick) {
    size_t count = 0, at[FILES_MAX];
    for (size_t i = 0; i < image.files_len; i++) {
        if (strncmp(image.files[i].name, "wal-", 4) == 0) {
            at[count++] = i;
        }
    }
    return &image.files[at[pick % count]];
}

/* ---- one change, and its cost at most ---- */

static uint64_t seed_state;

static uint64_t random_below(uint64_t limit) {
    seed_state = seed_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (seed_state >> 33) % limit;
}

typedef struct change {
    char segment[64];  /* "": no item may be lost */
    uint64_t from, to; /* bytes of it that differ from before */
    bool misplaced;    /* a file is where it does not belong */
    char text[160];
} change_t;

static void overwrite(change_t *change, const image_file_t *file, uint64_t from, uint64_t to, int mode) {
    uint8_t *data = malloc(file->bytes);
    memcpy(data, file->data, file->bytes);
    to = to < file->bytes ? to : file->bytes;
    for (uint64_t i = from; i < to; i++) {
        if (mode < 0) {
            data[i] = 0;
        } else if (mode < 8) {
            data[i] = (uint8_t)(data[i] ^ 1u << mode);
        } else {
            data[i] = (uint8_t)random_below(256);
        }
    }
    for (; from < to && data[from] == file->data[from]; from++) {
    }
    for (; from < to && data[to - 1] == file->data[to - 1]; to--) {
    }
    store_file(file->name, data, file->bytes);
    free(data);
    strcpy(change->segment, file->name);
    change->from = from;
    change->to = to;
    snprintf(change->text, sizeof change->text, "%s bytes %d..%d %s", file->name, (int)from, (int)to,
             mode < 0   ? "zeroed"
             : mode < 8 ? "flipped"
                        : "random");
}

static void truncate_file(change_t *change, const image_file_t *file) {
    uint64_t size = random_below(file->bytes);
    store_file(file->name, file->data, size);
    strcpy(change->segment, file->name);
    change->from = size;
    change->to = UINT64_MAX;
    snprintf(change->text, sizeof change->text, "%s cut to %d", file->name, (int)size);
}

static void remove_file(change_t *change, const image_file_t *file) {
    ck_assert_int_eq(unlink(path_of(file->name)), 0);
    strcpy(change->segment, file->name);
    change->from = 0;
    change->to = UINT64_MAX;
    snprintf(change->text, sizeof change->text, "%s removed", file->name);
}

static void swap_files(change_t *change, const image_file_t *a, const image_file_t *b) {
    store_file(a->name, b->data, b->bytes);
    store_file(b->name, a->data, a->bytes);
    change->misplaced = a != b;
    snprintf(change->text, sizeof change->text, "%s and %s swapped", a->name, b->name);
}

static void add_file(change_t *change, const image_file_t *file, int kind) {
    static const char *const names[] = {"wal-00000000000000ff.seg", "wal-0000000000000000.seg", "wal-zz.seg",
                                        "notes.txt"};
    const char *name = names[random_below(FLK_COUNT_OF(names))];
    uint8_t junk[700];
    for (size_t i = 0; i < sizeof junk; i++) {
        junk[i] = (uint8_t)random_below(256);
    }
    switch (kind) {
    case 0: /* a second copy */
        store_file(name, file->data, file->bytes);
        break;
    case 1:
        store_file(name, junk, sizeof junk);
        break;
    default:
        store_file(name, "", 0);
        break;
    }
    change->misplaced = strncmp(name, "wal-0", 5) == 0;
    snprintf(change->text, sizeof change->text, "%s added, kind %d of %s", name, kind, file->name);
}

static void spoil_checkpoint(change_t *change) {
    uint8_t *data;
    if (access(path_of("checkpoint"), F_OK) != 0) {
        return;
    }
    size_t bytes = load_file("checkpoint", &data);
    data[random_below(bytes)] ^= 0x10;
    store_file("checkpoint", data, random_below(2) == 0 ? bytes : random_below(bytes));
    free(data);
    snprintf(change->text, sizeof change->text, "checkpoint spoilt");
}

static change_t change_something(void) {
    change_t change = {0};
    const image_file_t *file = image_segment(random_below(FILES_MAX * 100));
    uint64_t at = random_below(file->bytes);
    switch (random_below(12)) {
    case 0:
    case 1:
    case 2:
        overwrite(&change, file, at, at + 1, (int)random_below(8));
        break;
    case 3:
        overwrite(&change, file, at / 512 * 512, at / 512 * 512 + 512, -1);
        break;
    case 4:
        overwrite(&change, file, at, at + random_below(3000), 8);
        break;
    case 5:
        overwrite(&change, file, 0, 88, random_below(2) == 0 ? -1 : 8); /* the header */
        break;
    case 6:
    case 7:
        truncate_file(&change, file);
        break;
    case 8:
        remove_file(&change, file);
        break;
    case 9:
        swap_files(&change, file, image_segment(random_below(FILES_MAX * 100)));
        break;
    case 10:
        add_file(&change, file, (int)random_below(3));
        break;
    default:
        spoil_checkpoint(&change);
        break;
    }
    return change;
}

/* ---- the verdict ---- */

static bool touched(const change_t *change, const image_item_t *item) {
    return strcmp(change->segment, item->segment) == 0 && item->offset < change->to &&
           item->offset + item->bytes > change->from;
}

/* Delivered: every un-acked record that was not touched, none whose ack was not touched, and never another body.
 * Returns how many promised records are missing. */
static size_t check_delivery(const change_t *change, const uint64_t *ids, size_t count, uint64_t seed) {
    bool delivered[RECORDS] = {false}, excused[RECORDS] = {false}, ack_touched[RECORDS] = {false};
    size_t missing = 0;
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_lt(ids[i], RECORDS);
        ck_assert_msg(!delivered[ids[i]], "seed %d: %s: record %d came twice", (int)seed, change->text, (int)ids[i]);
        delivered[ids[i]] = true;
    }
    for (size_t i = 0; i < image.items_len; i++) {
        const image_item_t *item = &image.items[i];
        if (!item->is_ack) {
            excused[item->id] = touched(change, item);
        }
        for (size_t id = 0; item->is_ack && touched(change, item) && id < RECORDS; id++) {
            ack_touched[id] = ack_touched[id] || image.lsns[id] == item->acked_lsn;
        }
    }
    for (size_t id = 0; id < RECORDS; id++) {
        ck_assert_msg(delivered[id] || image.acked[id] || excused[id], "seed %d: %s: record %zu lost", (int)seed,
                      change->text, id);
        ck_assert_msg(!delivered[id] || !image.acked[id] || ack_touched[id], "seed %d: %s: acked record %zu came back",
                      (int)seed, change->text, id);
        missing += !delivered[id] && !image.acked[id];
    }
    return missing;
}

/* The damage that flk-replay verify has to name: anything but padding, which no checksum covers and nobody reads. */
static bool can_be_named(const change_t *change) {
    bool named = change->misplaced || (change->segment[0] != '\0' && change->from < change->to && change->from < 88);
    for (size_t i = 0; i < image.items_len && !named; i++) {
        image_item_t item = image.items[i];
        item.bytes -= item.padding_bytes;
        named = touched(change, &item);
    }
    return named;
}

static bool count_damage(void *arg, const flk_wal_item_t *item) {
    bool quarantined = strstr(item->segment, ".damaged") != NULL;
    const bool sound =
        item->type == FLK_WAL_ITEM_RECORD || item->type == FLK_WAL_ITEM_ACK || item->type == FLK_WAL_ITEM_MISNAMED;
    *(size_t *)arg += !quarantined && !sound;
    return true;
}

/* A tail that is cut off a log that was not closed leaves no trace: nothing later says that it had been there. */
static const char *last_segment(void) {
    return image.items[image.items_len - 1].segment;
}

static bool count_findings(void *arg, const flk_wal_item_t *item) {
    *(size_t *)arg += item->type != FLK_WAL_ITEM_RECORD && item->type != FLK_WAL_ITEM_ACK;
    return true;
}

static void try_seed(uint64_t seed, bool closed) {
    uint64_t ids[RECORDS * 2], again[RECORDS * 2];
    flk_wal_options_t options = {.segment_bytes_max = SEGMENT_BYTES};
    seed_state = seed;
    image_restore();
    change_t change = change_something();
    size_t seen_by_tool = 0;
    ck_assert_int_eq(flk_wal_read(dir, count_findings, &seen_by_tool, errmsg), FLK_OK);

    flk_wal_t *wal = open_with(options);
    size_t count = unacked_ids(wal, ids, FLK_COUNT_OF(ids));
    size_t missing = check_delivery(&change, ids, count, seed);
    flk_wal_stats_t stats = stats_of(wal);
    bool traceless = !closed && change.to == UINT64_MAX && strcmp(change.segment, last_segment()) == 0;
    ck_assert_msg(seen_by_tool > 0 || traceless || !can_be_named(&change), "seed %d: %s: not seen by flk_wal_read",
                  (int)seed, change.text);
    ck_assert_msg(seen_by_tool == 0 || can_be_named(&change) || !closed, "seed %d: %s: flk_wal_read sees ghosts",
                  (int)seed, change.text);
    ck_assert_msg(missing == 0 || stats.damaged_records > 0 || (!closed && stats.torn_bytes > 0) || traceless,
                  "seed %d: %s: %zu records missing and nothing said", (int)seed, change.text, missing);
    uint64_t lsn = append(wal, RECORDS); /* it goes on working */
    flk_wal_close(&wal);

    wal = open_with(options);
    size_t count_again = unacked_ids(wal, again, FLK_COUNT_OF(again));
    ck_assert_msg(count_again == count + 1, "seed %d: %s: %zu records, then %zu", (int)seed, change.text, count,
                  count_again);
    ck_assert_mem_eq(ids, again, count * sizeof ids[0]);
    ck_assert_uint_eq(again[count], RECORDS);
    ck_assert_msg(stats_of(wal).damaged_records == 0 && stats_of(wal).quarantined == 0, "seed %d: %s: reported twice",
                  (int)seed, change.text);
    if (missing == 0) { /* a record without a trace cannot be known to have had a number */
        ck_assert_uint_gt(lsn, image.lsns[RECORDS - 1]);
    }
    flk_wal_close(&wal);
    size_t left = 0;
    ck_assert_int_eq(flk_wal_read(dir, count_damage, &left, errmsg), FLK_OK);
    ck_assert_msg(left == 0, "seed %d: %s: damage left after repair", (int)seed, change.text);
}

static void try_seeds(bool closed) {
    const char *from = getenv("FLK_SEED"), *runs = getenv("FLK_RUNS");
    uint64_t first = from != NULL ? strtoull(from, NULL, 10) : 1,
             count = runs != NULL ? strtoull(runs, NULL, 10) : RUNS;
    image_make(closed);
    printf("%d segments, %d items, seeds %d..%d\n", (int)image.files_len, (int)image.items_len, (int)first,
           (int)(first + count - 1));
    for (uint64_t seed = first; seed < first + count; seed++) {
        try_seed(seed, closed);
    }
    image_free();
}

/* Any one change is made to the files of a log that was closed: it opens, loses the changed records and nothing else,
 * says so, never delivers a body that was not written, and the next start finds the same and nothing to repair. */
START_TEST(test_wal_survives_any_change) {
    try_seeds(true);
}
END_TEST

/* The same for a log whose process was killed. */
START_TEST(test_wal_survives_any_change_after_a_kill) {
    try_seeds(false);
}
END_TEST

/* ---- single cases ---- */

/* A record that is cut off at the end, un-synced as far as anyone knows, is cut, counted as torn and no damage. */
START_TEST(test_wal_cuts_a_torn_tail) {
    uint64_t ids[16];
    flk_wal_t *wal = open_log();
    append(wal, 1);
    append(wal, 2);
    names_t names = list_files(".seg");
    uint8_t *data;
    size_t bytes = load_file(names.at[0], &data);
    flk_wal_close(&wal);
    struct stat status;
    ck_assert_int_eq(stat(path_of(names.at[0]), &status), 0); /* cut to its content */
    memset(data + status.st_size - 40, 0, 40);
    unlink(path_of("checkpoint"));
    store_file(names.at[0], data, bytes);
    free(data);
    wal = open_log();
    ck_assert_uint_eq(unacked_ids(wal, ids, 16), 1);
    ck_assert_uint_eq(ids[0], 1);
    ck_assert_uint_gt(stats_of(wal).torn_bytes, 0);
    ck_assert_uint_eq(stats_of(wal).damaged_records, 0);
    ck_assert_uint_eq(stats_of(wal).quarantined, 0);
    flk_wal_close(&wal);
}
END_TEST

/* Zeros over the record that holds `id`, its header included. Returns where it began. */
static size_t wipe_record(const char *name, uint64_t id) {
    uint8_t *data, body[BODY_BYTES_MAX];
    size_t bytes = load_file(name, &data);
    uint32_t body_bytes = body_make(id, body);
    uint8_t *found = memmem(data, bytes, body, body_bytes);
    ck_assert_ptr_nonnull(found);
    memset(found - 40, 0, 40 + body_bytes);
    store_file(name, data, bytes);
    size_t offset = (size_t)(found - 40 - data);
    free(data);
    return offset;
}

/* The hole that a lying disk leaves in the middle (zeros where a synced group was) costs that group alone: it is
 * counted, the segment kept as *.damaged, and the records behind it are delivered. The rewritten segment in turn cannot
 * lose its end unnoticed. */
START_TEST(test_wal_salvages_behind_a_hole) {
    uint64_t ids[16];
    flk_wal_t *wal = open_log();
    for (uint64_t i = 1; i <= 9; i++) {
        append(wal, i);
    }
    flk_wal_close(&wal);
    char name[64];
    strcpy(name, list_files(".seg").at[0]);
    wipe_record(name, 5);
    wal = open_log();
    ck_assert_uint_eq(unacked_ids(wal, ids, 16), 8);
    for (uint64_t i = 0; i < 8; i++) {
        ck_assert_uint_eq(ids[i], i < 4 ? i + 1 : i + 2);
    }
    ck_assert_uint_eq(stats_of(wal).damaged_records, 1);
    ck_assert_uint_eq(stats_of(wal).quarantined, 1);
    ck_assert_uint_eq(list_files(".damaged").len, 1);
    flk_wal_close(&wal);
    ck_assert_int_eq(truncate(path_of(name), (off_t)wipe_record(name, 9)), 0);
    wal = open_log();
    ck_assert_uint_eq(unacked_ids(wal, ids, 16), 7);
    ck_assert_uint_eq(stats_of(wal).damaged_records, 1);
    flk_wal_close(&wal);
}
END_TEST

/* A segment of another log, put into the directory, is set aside and none of it is delivered. */
START_TEST(test_wal_refuses_a_foreign_segment) {
    uint64_t ids[16];
    flk_wal_t *wal = NULL;
    for (uint64_t id = 7; id < 10; id++) { /* so that its last segment has a number that the log below has not */
        wal = open_log();
        append(wal, id);
        flk_wal_close(&wal);
    }
    char name[64];
    names_t names = list_files(".seg");
    strcpy(name, names.at[names.len - 1]);
    uint8_t *data;
    size_t bytes = load_file(name, &data);
    clear_dir();
    wal = open_log();
    append(wal, 1);
    flk_wal_close(&wal);
    store_file(name, data, bytes);
    free(data);
    wal = open_log();
    ck_assert_uint_eq(unacked_ids(wal, ids, 16), 1);
    ck_assert_uint_eq(ids[0], 1);
    ck_assert_uint_eq(stats_of(wal).quarantined, 1);
    ck_assert_uint_eq(list_files(".damaged").len, 1);
    ck_assert_uint_eq(append(wal, 2), 2);
    flk_wal_close(&wal);
}
END_TEST

/* A second copy of a segment under another name is set aside: its records come once, its acked ones not at all. */
START_TEST(test_wal_sets_a_second_copy_aside) {
    uint64_t ids[16];
    flk_wal_t *wal = open_log();
    append(wal, 1);
    ack(wal, append(wal, 2));
    append(wal, 3);
    flk_wal_close(&wal);
    uint8_t *data;
    size_t bytes = load_file(list_files(".seg").at[0], &data);
    store_file("wal-0000000000000042.seg", data, bytes);
    free(data);
    wal = open_log();
    ck_assert_uint_eq(stats_of(wal).recovered, 2);
    ck_assert_uint_eq(stats_of(wal).damaged_records, 0);
    ck_assert_str_eq(list_files(".damaged").at[0], "wal-0000000000000042.seg.damaged");
    ck_assert_uint_eq(unacked_ids(wal, ids, 16), 2);
    ck_assert_uint_eq(ids[0], 1);
    ck_assert_uint_eq(ids[1], 3);
    flk_wal_close(&wal);
}
END_TEST

/* A segment as a log with the id 77 writes it: the records first_lsn to 3, the ack of record 1. `header` false: the
 * header is lost. */
static void store_segment(uint64_t number, uint64_t first_lsn, bool header) {
    uint8_t data[4096] = {0}, *at = data + FLK_WAL_SEGMENT_HEADER_BYTES;
    if (header) {
        flk_wal_header_encode(&(flk_wal_header_t){.log_id = 77, .number = number, .first_lsn = first_lsn}, data);
    }
    for (uint64_t lsn = first_lsn; lsn <= 4; lsn++) {
        uint8_t *body = at + FLK_WAL_ITEM_HEADER_BYTES;
        flk_wal_item_header_t item = {.lsn = lsn, .unsynced = 1, .type = FLK_WAL_ITEM_RECORD};
        if (lsn < 4) {
            item.kind = (uint8_t)lsn;
            item.body_bytes = body_make(lsn, body);
        } else {
            item.type = FLK_WAL_ITEM_ACK;
            item.body_bytes = flk_wal_ack_encode(1, &(flk_wal_ending_t){.mark = {.status = 200}}, body);
        }
        flk_wal_item_encode(&item, body, flk_wal_salt(77, number), at);
        at += flk_wal_item_bytes(item.body_bytes);
        ck_assert(at <= data + sizeof data);
    }
    char name[FLK_WAL_NAME_BYTES];
    snprintf(name, sizeof name, "wal-%016x.seg", (unsigned)number);
    store_file(name, data, (size_t)(at - data));
}

/* Two segments that a later one took over, one of them without its header and its first item: the later one's acks
 * still find their records. */
START_TEST(test_wal_orders_a_lost_header_before_what_took_it_over) {
    uint64_t ids[16];
    store_segment(1, 1, true);
    store_segment(5, 2, false);
    store_segment(9, 1, true);
    flk_wal_t *wal = open_log();
    ck_assert_uint_eq(unacked_ids(wal, ids, 16), 2);
    ck_assert_uint_eq(ids[0], 2);
    ck_assert_uint_eq(ids[1], 3);
    flk_wal_close(&wal);
}
END_TEST

/* A record that goes bad while the log is open is reported once with its place; the cursor goes on behind it. */
START_TEST(test_wal_cursor_reports_a_bad_record) {
    flk_wal_t *wal = open_log();
    for (uint64_t i = 1; i <= 3; i++) {
        append(wal, i);
    }
    char name[64];
    strcpy(name, list_files(".seg").at[0]);
    uint8_t *data, body[BODY_BYTES_MAX];
    size_t bytes = load_file(name, &data);
    uint32_t body_bytes = body_make(2, body);
    uint8_t *second = memmem(data, bytes, body, body_bytes);
    ck_assert_ptr_nonnull(second);
    second[12] ^= 1;
    store_file(name, data, bytes);
    free(data);
    flk_wal_cursor_t *cursor;
    flk_wal_record_t record;
    ck_assert_int_eq(flk_wal_cursor_new(wal, &cursor), FLK_OK);
    ck_assert_int_eq(flk_wal_cursor_next(cursor, &record, errmsg), FLK_OK);
    ck_assert_int_eq(flk_wal_cursor_next(cursor, &record, errmsg), FLK_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(errmsg, name));
    ck_assert_int_eq(flk_wal_cursor_next(cursor, &record, errmsg), FLK_OK);
    ck_assert_uint_eq(body_id(record.body, record.body_bytes), 3);
    ck_assert_int_eq(flk_wal_cursor_next(cursor, &record, errmsg), FLK_E_NOT_FOUND);
    flk_wal_cursor_destroy(&cursor);
    flk_wal_close(&wal);
}
END_TEST

typedef struct missing {
    size_t findings;
    char segment[64];
} missing_t;

static bool note_missing(void *arg, const flk_wal_item_t *item) {
    missing_t *missing = arg;
    if (item->type != FLK_WAL_ITEM_RECORD && item->type != FLK_WAL_ITEM_ACK) {
        missing->findings++;
        snprintf(missing->segment, sizeof missing->segment, "%s", item->segment);
        ck_assert_int_eq(item->type, FLK_WAL_ITEM_MISSING);
    }
    return true;
}

/* Segments that the retention removed are not missing. One out of the middle is, also when all in it was settled, and
 * is named; so is one with an un-acked record at the end of the line. */
START_TEST(test_wal_read_tells_retention_from_a_hole) {
    flk_wal_t *wal = open_with((flk_wal_options_t){.segment_bytes_max = SEGMENT_BYTES, .retained_bytes_max = 40000});
    for (uint64_t id = 0; id < RECORDS; id++) {
        uint64_t lsn = append(wal, id);
        if (id < RECORDS - 10) {
            ack(wal, lsn);
        }
        ck_assert(id % 10 != 0 || flk_wal_flush(wal, errmsg) == FLK_OK);
    }
    flk_wal_close(&wal);
    names_t names = list_files(".seg");
    ck_assert_str_ne(names.at[0], "wal-0000000000000001.seg");
    missing_t missing = {0};
    ck_assert_int_eq(flk_wal_read(dir, note_missing, &missing, errmsg), FLK_OK);
    ck_assert_uint_eq(missing.findings, 0);
    for (size_t i = 1; i < names.len; i++) {
        uint8_t *data;
        size_t bytes = load_file(names.at[i], &data);
        ck_assert_int_eq(unlink(path_of(names.at[i])), 0);
        missing = (missing_t){0};
        ck_assert_int_eq(flk_wal_read(dir, note_missing, &missing, errmsg), FLK_OK);
        ck_assert_uint_eq(missing.findings, 1);
        ck_assert_str_eq(missing.segment, names.at[i]);
        store_file(names.at[i], data, bytes);
        free(data);
    }
}
END_TEST

/* A segment of a later format is left alone: the start is refused with a line that says so. A version that does not
 * check is damage, not a format. */
START_TEST(test_wal_refuses_a_later_format) {
    flk_wal_t *wal = open_log();
    append(wal, 1);
    flk_wal_close(&wal);
    char name[64];
    strcpy(name, list_files(".seg").at[0]);
    uint8_t *data;
    size_t bytes = load_file(name, &data);
    data[8] = FLK_WAL_VERSION + 1;
    XXH64_hash_t sum = XXH3_64bits(data, 80);
    for (size_t i = 0; i < 8; i++) {
        data[80 + i] = (uint8_t)(sum >> 8 * i);
    }
    store_file(name, data, bytes);
    flk_wal_options_t options = {.dir = dir};
    ck_assert_int_eq(flk_wal_open(&options, &wal, errmsg), FLK_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(errmsg, "format 3"));
    data[80] ^= 1;
    store_file(name, data, bytes);
    free(data);
    wal = open_log();
    ck_assert_uint_eq(stats_of(wal).unacked, 1);
    flk_wal_close(&wal);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("damage");
    tcase_add_test(tcase, test_wal_survives_any_change);
    tcase_add_test(tcase, test_wal_survives_any_change_after_a_kill);
    tcase_add_test(tcase, test_wal_cuts_a_torn_tail);
    tcase_add_test(tcase, test_wal_salvages_behind_a_hole);
    tcase_add_test(tcase, test_wal_refuses_a_foreign_segment);
    tcase_add_test(tcase, test_wal_sets_a_second_copy_aside);
    tcase_add_test(tcase, test_wal_orders_a_lost_header_before_what_took_it_over);
    tcase_add_test(tcase, test_wal_cursor_reports_a_bad_record);
    tcase_add_test(tcase, test_wal_read_tells_retention_from_a_hole);
    tcase_add_test(tcase, test_wal_refuses_a_later_format);
    return run_suite(tcase);
}
