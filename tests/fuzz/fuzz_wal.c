/* SPDX-License-Identifier: MIT */
/* A log directory as no disk would leave it. The input is a list of steps that make segments: whole items with any
 * numbers and right checksums, so that the fuzzer gets past them, and raw bytes.
 *
 * Each segment of every input is scanned: an item lies where the scan says, in order, and holds the body that was
 * written for its LSN. Opening a log starts a thread and makes and removes dozens of files, a hundred times as long, so
 * only one input of OPEN_EVERY is opened. The open must succeed or say why, give out no other body, and, done again,
 * say the same. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/wal/cursor.h"
#include "common/wal/scan.h"
#include "tests/fuzz/fuzz.h"

enum { SEGMENT_BYTES = 16384, SEGMENTS_MAX = 5, BODY_BYTES_MAX = 255, LOG_ID = 77, OPEN_EVERY = 64 };

static char dir[64];

/* ---- the input ---- */

typedef struct steps {
    const uint8_t *at, *end;
} steps_t;

static uint8_t next_byte(steps_t *steps) {
    return steps->at < steps->end ? *steps->at++ : 0;
}

/* Small numbers mostly, now and then one at a limit. */
static uint64_t next_number(steps_t *steps) {
    static const uint64_t limits[] = {
        1000, UINT64_C(1) << 27, UINT32_MAX, FLK_WAL_NUMBER_MAX, FLK_WAL_NUMBER_MAX + 1, UINT64_MAX};
    uint8_t byte = next_byte(steps);
    return byte < 250 ? byte : limits[byte - 250];
}

/* ---- segments ---- */

typedef struct segment {
    uint64_t number, salt;
    size_t bytes;
    uint8_t data[SEGMENT_BYTES];
} segment_t;

static void put(segment_t *segment, const void *data, size_t bytes) {
    if (bytes <= sizeof segment->data - segment->bytes) {
        memcpy(segment->data + segment->bytes, data, bytes);
        segment->bytes += bytes;
    }
}

static void begin_segment(segment_t *segment, steps_t *steps) {
    flk_wal_header_t header = {.log_id = LOG_ID, .number = segment->number + next_number(steps)};
    header.first_lsn = next_number(steps);
    header.durable_lsn = next_number(steps);
    header.sparse = next_byte(steps) & 1;
    if (header.sparse) {
        header.end_lsn = next_number(steps);
        header.items = next_number(steps);
    }
    segment->number = header.number;
    segment->salt = flk_wal_salt(LOG_ID, header.number);
    segment->bytes = 0;
    uint8_t bytes[FLK_WAL_SEGMENT_HEADER_BYTES];
    flk_wal_header_encode(&header, bytes);
    put(segment, bytes, sizeof bytes);
}

/* The body of a record says its LSN in every byte that it has. */
static void fill(uint8_t *body, size_t bytes, uint64_t lsn) {
    for (size_t i = 0; i < bytes; i++) {
        body[i] = (uint8_t)(lsn >> i % 8 * 8);
    }
}

/* An ack as one of the two formats has it, or as no program wrote it. */
static uint32_t put_ack(steps_t *steps, uint8_t body[FLK_WAL_ACK_BYTES_MAX]) {
    static const uint8_t outcome[128];
    flk_wal_ending_t ending = {.mark = {.status = 200}, .outcome = outcome};
    const uint64_t lsn = next_number(steps);
    ending.outcome_bytes = next_byte(steps) % 128;
    ending.key[0] = (char)(ending.outcome_bytes / 2);
    ending.has_subject = ending.outcome_bytes % 2 == 1;
    const uint32_t bytes = flk_wal_ack_encode(lsn, &ending, body);
    body[FLK_WAL_ACK_BYTES] ^= ending.outcome_bytes % 16 == 15; /* a layout that is not known */
    return bytes;
}

static void put_item(segment_t *segment, steps_t *steps, flk_wal_item_type_t type) {
    flk_wal_item_header_t item = {
        .lsn = next_number(steps), .unsynced = (uint32_t)next_number(steps), .type = (uint8_t)type};
    uint8_t body[FLK_WAL_ACK_BYTES_MAX + FLK_WAL_ALIGN_BYTES] = {0}, bytes[FLK_WAL_ITEM_HEADER_BYTES];
    if (type == FLK_WAL_ITEM_ACK) {
        item.body_bytes = put_ack(steps, body);
    } else {
        item.body_bytes = next_byte(steps);
        fill(body, item.body_bytes, item.lsn);
    }
    flk_wal_item_encode(&item, body, segment->salt, bytes);
    put(segment, bytes, sizeof bytes);
    put(segment, body, flk_wal_item_bytes(item.body_bytes) - sizeof bytes);
}

static void put_raw(segment_t *segment, steps_t *steps) {
    for (size_t left = next_byte(steps); left > 0; left--) {
        put(segment, &(uint8_t){next_byte(steps)}, 1);
    }
}

static void damage(segment_t *segment, steps_t *steps) {
    size_t at = (size_t)next_byte(steps) << 8 | next_byte(steps);
    if (at < segment->bytes) {
        segment->data[at] ^= next_byte(steps);
    }
}

/* Returns how many segments the steps made. */
static size_t make_segments(steps_t *steps, segment_t segments[SEGMENTS_MAX]) {
    size_t len = 0;
    while (len < SEGMENTS_MAX && steps->at < steps->end) {
        segment_t *segment = &segments[len];
        segment->number = len == 0 ? 0 : segments[len - 1].number;
        begin_segment(segment, steps);
        bool more = true;
        while (more && steps->at < steps->end) {
            switch (next_byte(steps) % 8) {
            case 0:
                more = false;
                break;
            case 1:
                put_raw(segment, steps);
                break;
            case 2:
                damage(segment, steps);
                break;
            case 3:
                put_item(segment, steps, FLK_WAL_ITEM_ACK);
                break;
            default:
                put_item(segment, steps, FLK_WAL_ITEM_RECORD);
                break;
            }
        }
        len++;
    }
    return len;
}

/* ---- the directory ---- */

static void write_segment(const segment_t *segment) {
    char path[128];
    snprintf(path, sizeof path, "%s/wal-%016llx.seg", dir, (unsigned long long)segment->number);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FLK_ASSERT(fd >= 0 && write(fd, segment->data, segment->bytes) == (ssize_t)segment->bytes);
    close(fd);
}

static void clear(void) {
    if (dir[0] == '\0') {
        snprintf(dir, sizeof dir, "/dev/shm/flk-fuzz-wal-%d", (int)getpid());
        flk_log_init("fuzz", FLK_LOG_ERROR + 1, FLK_LOG_TEXT);
    }
    mkdir(dir, 0700);
    DIR *listing = opendir(dir);
    FLK_ASSERT(listing != NULL);
    for (const struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        if (entry->d_name[0] != '.') {
            unlinkat(dirfd(listing), entry->d_name, 0);
        }
    }
    closedir(listing);
}

static void remove_dir(void) {
    clear();
    rmdir(dir);
}

/* ---- the invariants ---- */

static void check_body(const flk_wal_record_t *record) {
    uint8_t body[BODY_BYTES_MAX];
    FLK_ASSERT(record->body_bytes <= sizeof body);
    fill(body, record->body_bytes, record->lsn);
    FLK_ASSERT(memcmp(body, record->body, record->body_bytes) == 0);
}

static bool visit(void *arg, const flk_wal_item_t *item) {
    (void)arg;
    if (item->type == FLK_WAL_ITEM_RECORD) {
        check_body(&item->record);
    }
    return true;
}

typedef struct found {
    bool opened;
    uint64_t unacked, sum; /* of the LSNs that the cursor gave */
} found_t;

static found_t open_and_read(void) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    found_t found = {0};
    flk_wal_options_t options = {.dir = dir, .segment_bytes_max = 4096, .low_water_bytes = 1};
    flk_wal_t *wal = NULL;
    flk_err_t err = flk_wal_open(&options, &wal, errmsg);
    if (err != FLK_OK) {
        FLK_ASSERT(err == FLK_E_CONFIG && errmsg[0] != '\0'); /* a later format */
        return found;
    }
    flk_wal_stats_t stats;
    flk_wal_stats(wal, &stats);
    flk_wal_cursor_t *cursor;
    FLK_ASSERT(flk_wal_cursor_new(wal, &cursor) == FLK_OK);
    flk_wal_record_t record;
    uint64_t last_lsn = 0;
    while ((err = flk_wal_cursor_next(cursor, &record, errmsg)) == FLK_OK) {
        FLK_ASSERT(record.lsn > last_lsn);
        last_lsn = record.lsn;
        check_body(&record);
        found.unacked++;
        found.sum += record.lsn;
    }
    FLK_ASSERT(err == FLK_E_NOT_FOUND);
    FLK_ASSERT(stats.unacked == found.unacked && stats.recovered == found.unacked);
    flk_wal_cursor_destroy(&cursor);
    flk_wal_close(&wal);
    found.opened = true;
    return found;
}

static void check_found(const flk_wal_found_t *found, uint64_t offset, uint64_t last_lsn, uint64_t limit) {
    FLK_ASSERT(found->header.lsn > last_lsn && found->header.lsn <= FLK_WAL_NUMBER_MAX);
    FLK_ASSERT(found->skipped_offset == offset && found->offset == offset + found->skipped_bytes);
    FLK_ASSERT(found->bytes == flk_wal_item_bytes(found->header.body_bytes));
    FLK_ASSERT(found->offset + FLK_WAL_ITEM_HEADER_BYTES + found->header.body_bytes <= limit);
    if (found->header.type == FLK_WAL_ITEM_RECORD) {
        check_body(
            &(flk_wal_record_t){.lsn = found->header.lsn, .body_bytes = found->header.body_bytes, .body = found->body});
    } else {
        uint64_t lsn;
        flk_wal_ending_t ending;
        FLK_ASSERT(found->header.type == FLK_WAL_ITEM_ACK && found->header.body_bytes >= FLK_WAL_ACK_BYTES);
        flk_wal_ack_decode(found->body, found->header.body_bytes, &lsn, &ending);
        const uint8_t *end = found->body + found->header.body_bytes;
        FLK_ASSERT(ending.outcome == NULL || ending.outcome + ending.outcome_bytes == end);
    }
}

static void scan_segment(const segment_t *segment) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_wal_header_t header;
    if (flk_wal_header_decode(segment->data, &header) && header.version == FLK_WAL_VERSION) {
        FLK_ASSERT(header.number > 0 && header.number <= FLK_WAL_NUMBER_MAX);
        FLK_ASSERT(header.first_lsn > 0 && header.first_lsn <= FLK_WAL_NUMBER_MAX);
    }
    flk_wal_scan_t scan;
    flk_wal_scan_init(&scan);
    FLK_ASSERT(flk_wal_scan_open(&scan, fuzz_file(segment->data, segment->bytes), segment->salt, errmsg) == FLK_OK);
    scan.limit = segment->bytes;
    flk_wal_found_t found = {0};
    uint64_t offset = FLK_WAL_SEGMENT_HEADER_BYTES, last_lsn = 0;
    flk_err_t err;
    while ((err = flk_wal_scan_next(&scan, &found, errmsg)) == FLK_OK) {
        check_found(&found, offset, last_lsn, segment->bytes);
        offset = found.offset + found.bytes;
        last_lsn = found.header.lsn;
    }
    FLK_ASSERT(err == FLK_E_NOT_FOUND);
    FLK_ASSERT(found.skipped_bytes == 0 || found.skipped_offset + found.skipped_bytes <= segment->bytes);
    flk_wal_scan_fini(&scan);
}

static void open_log(const segment_t *segments, size_t len) {
    static bool first = true;
    if (first) {
        first = false;
        FLK_ASSERT(atexit(remove_dir) == 0);
    }
    char errmsg[FLK_ERRMSG_BYTES] = "";
    clear();
    for (size_t i = 0; i < len; i++) {
        write_segment(&segments[i]);
    }
    flk_err_t err = flk_wal_read(dir, visit, NULL, errmsg);
    FLK_ASSERT(err == FLK_OK || errmsg[0] != '\0');
    found_t once = open_and_read();
    found_t twice = open_and_read();
    FLK_ASSERT(once.opened == twice.opened && once.unacked == twice.unacked && once.sum == twice.sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes) {
    static segment_t segments[SEGMENTS_MAX];
    size_t len = make_segments(&(steps_t){.at = data, .end = data + data_bytes}, segments);
    for (size_t i = 0; i < len; i++) {
        scan_segment(&segments[i]);
    }
    if (fuzz_turn(data, data_bytes, OPEN_EVERY)) {
        open_log(segments, len);
    }
    return 0;
}
