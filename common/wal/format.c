/* SPDX-License-Identifier: MIT */
/* The bytes of a segment. All integers are little-endian; every item begins at a multiple of 8 bytes.
 *
 * Segment header, 88 bytes, once at offset 0:
 *    0  8  magic "FLKWAL\r\n"
 *    8  4  format version
 *   12  4  flags: bit 0 = sparse (rewritten without items that were no longer needed)
 *   16  8  log id
 *   24  8  segment number
 *   32  8  first LSN
 *   40  8  durable LSN when the segment was made
 *   48  8  made, ms since the Unix epoch
 *   56  8  sparse: end LSN of the original; else 0
 *   64  8  sparse: number of items; else 0
 *   72  8  number that named its records when it was made; 0 in old segments: the log id
 *   80  8  XXH3-64 of bytes 0..79, seed 0
 *
 * Item, 40 bytes + body + 0..7 zero bytes:
 *    0  8  XXH3-64 of bytes 8..39, its seed the XXH3-64 of the body, whose seed is the segment's salt
 *    8  4  magic "FLKi"
 *   12  4  body bytes
 *   16  8  LSN
 *   24  8  time, ms since the Unix epoch
 *   32  4  unsynced: everything up to LSN - unsynced was durable when this was written (>= 1)
 *   36  1  type: 0 record, 1 ack
 *   37  1  kind of a record, the caller's
 *   38  2  zero
 *   40  .  body. Of an ack:  0 8 LSN of the record   8 2 status   10 2 flags   12 4 detail
 *
 * The salt is XXH3-64(log id, segment number): a page of another log or segment never checks, and a segment whose
 * header is lost can still be read. `unsynced` tells at recovery which items were promised: a missing item is damage
 * if a later one says that it had been durable, else the torn end of a group that was never reported as durable.
 *
 * Rule for change: another layout gets another format version. Magic, version and checksum of the segment header stay
 * where they are, so that a program that does not know a version can tell it from damage and leave the log alone. */
#include <string.h>
#include <xxhash.h>

#include "common/bytes.h"
#include "common/wal/format.h"

static const char segment_magic[8] = {'F', 'L', 'K', 'W', 'A', 'L', '\r', '\n'};
static const char item_magic[4] = {'F', 'L', 'K', 'i'};
enum { FLAG_SPARSE = 1, HEADER_SUM_OFFSET = FLK_WAL_SEGMENT_HEADER_BYTES - 8 };

uint64_t flk_wal_salt(uint64_t log_id, uint64_t number) {
    uint8_t bytes[16];
    flk_put_le64(bytes, log_id);
    flk_put_le64(bytes + 8, number);
    return XXH3_64bits(bytes, sizeof bytes);
}

void flk_wal_header_encode(const flk_wal_header_t *header, uint8_t out[FLK_WAL_SEGMENT_HEADER_BYTES]) {
    memset(out, 0, FLK_WAL_SEGMENT_HEADER_BYTES);
    memcpy(out, segment_magic, sizeof segment_magic);
    flk_put_le32(out + 8, FLK_WAL_VERSION);
    flk_put_le32(out + 12, header->sparse ? FLAG_SPARSE : 0);
    flk_put_le64(out + 16, header->log_id);
    flk_put_le64(out + 24, header->number);
    flk_put_le64(out + 32, header->first_lsn);
    flk_put_le64(out + 40, header->durable_lsn);
    flk_put_le64(out + 48, header->created_ms);
    flk_put_le64(out + 56, header->end_lsn);
    flk_put_le64(out + 64, header->items);
    flk_put_le64(out + 72, header->name_id);
    flk_put_le64(out + HEADER_SUM_OFFSET, XXH3_64bits(out, HEADER_SUM_OFFSET));
}

bool flk_wal_header_decode(const uint8_t in[FLK_WAL_SEGMENT_HEADER_BYTES], flk_wal_header_t *header) {
    if (memcmp(in, segment_magic, sizeof segment_magic) != 0 ||
        flk_get_le64(in + HEADER_SUM_OFFSET) != XXH3_64bits(in, HEADER_SUM_OFFSET)) {
        return false;
    }
    flk_wal_header_t read = {
        .version = flk_get_le32(in + 8),
        .log_id = flk_get_le64(in + 16),
        .number = flk_get_le64(in + 24),
        .first_lsn = flk_get_le64(in + 32),
        .durable_lsn = flk_get_le64(in + 40),
        .created_ms = flk_get_le64(in + 48),
        .sparse = (flk_get_le32(in + 12) & FLAG_SPARSE) != 0,
        .end_lsn = flk_get_le64(in + 56),
        .items = flk_get_le64(in + 64),
        .name_id = flk_get_le64(in + 72),
    };
    bool in_range = read.number <= FLK_WAL_NUMBER_MAX && read.first_lsn <= FLK_WAL_NUMBER_MAX &&
                    read.durable_lsn <= FLK_WAL_NUMBER_MAX;
    bool spans = read.end_lsn >= read.first_lsn && read.end_lsn - read.first_lsn <= FLK_WAL_SEGMENT_LSNS_MAX;
    read.name_id = read.name_id == 0 ? read.log_id : read.name_id;
    if (read.number == 0 || read.first_lsn == 0 || !in_range || (read.sparse && !spans)) {
        return false;
    }
    *header = read;
    return true;
}

static uint64_t item_sum(const uint8_t header[FLK_WAL_ITEM_HEADER_BYTES], const void *body, uint32_t body_bytes,
                         uint64_t salt) {
    uint64_t seed = XXH3_64bits_withSeed(body, body_bytes, salt);
    return XXH3_64bits_withSeed(header + 8, FLK_WAL_ITEM_HEADER_BYTES - 8, seed);
}

void flk_wal_item_encode(const flk_wal_item_header_t *item, const void *body, uint64_t salt,
                         uint8_t out[FLK_WAL_ITEM_HEADER_BYTES]) {
    memcpy(out + 8, item_magic, sizeof item_magic);
    flk_put_le32(out + 12, item->body_bytes);
    flk_put_le64(out + 16, item->lsn);
    flk_put_le64(out + 24, (uint64_t)item->time_ms);
    flk_put_le32(out + 32, item->unsynced);
    out[36] = item->type;
    out[37] = item->kind;
    flk_put_le16(out + 38, 0);
    flk_put_le64(out, item_sum(out, body, item->body_bytes, salt));
}

bool flk_wal_item_decode(const uint8_t in[FLK_WAL_ITEM_HEADER_BYTES], flk_wal_item_header_t *item) {
    if (memcmp(in + 8, item_magic, sizeof item_magic) != 0) {
        return false;
    }
    *item = (flk_wal_item_header_t){
        .body_bytes = flk_get_le32(in + 12),
        .lsn = flk_get_le64(in + 16),
        .time_ms = (int64_t)flk_get_le64(in + 24),
        .unsynced = flk_get_le32(in + 32),
        .type = in[36],
        .kind = in[37],
    };
    bool known =
        item->type == FLK_WAL_ITEM_RECORD || (item->type == FLK_WAL_ITEM_ACK && item->body_bytes == FLK_WAL_ACK_BYTES);
    bool in_range = item->lsn >= item->unsynced && item->lsn <= FLK_WAL_NUMBER_MAX;
    return known && in_range && item->body_bytes <= FLK_WAL_BODY_BYTES_MAX;
}

bool flk_wal_item_check(const uint8_t in[FLK_WAL_ITEM_HEADER_BYTES], const void *body, uint32_t body_bytes,
                        uint64_t salt) {
    return flk_get_le64(in) == item_sum(in, body, body_bytes, salt);
}

void flk_wal_ack_encode(uint64_t lsn, flk_wal_mark_t mark, uint8_t out[FLK_WAL_ACK_BYTES]) {
    flk_put_le64(out, lsn);
    flk_put_le16(out + 8, mark.status);
    flk_put_le16(out + 10, mark.flags);
    flk_put_le32(out + 12, mark.detail);
}

void flk_wal_ack_decode(const uint8_t in[FLK_WAL_ACK_BYTES], uint64_t *lsn, flk_wal_mark_t *mark) {
    *lsn = flk_get_le64(in);
    *mark = (flk_wal_mark_t){
        .status = flk_get_le16(in + 8), .flags = flk_get_le16(in + 10), .detail = flk_get_le32(in + 12)};
}
