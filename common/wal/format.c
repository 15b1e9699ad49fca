/* SPDX-License-Identifier: MIT */
/* The bytes of a segment. All integers are little-endian; every item begins at a multiple of 8 bytes.
 *
 * Segment header, 88 bytes, once at offset 0:
 *    0  8  magic "FLKWAL\r\n"
 *    8  4  format version
 *   12  4  flags: bit 0 = sparse (rewritten without items that were no longer needed), bit 1 = with all its acks
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
 *   40  .  body. Of an ack:
 *            0  8  LSN of the record
 *            8  2  status
 *           10  2  flags
 *           12  4  detail: the end of an ack of format 1, and of one with nothing else to tell
 *           16  1  layout 1
 *           17  1  bytes of the key's id; + 128: a subject follows
 *           18  2  bytes of the outcome
 *           20  .  subject (32), key's id, outcome
 *
 * The salt is XXH3-64(log id, segment number): a page of another log or segment never checks, and a segment whose
 * header is lost can still be read. `unsynced` tells at recovery which items were promised: a missing item is damage
 * if a later one says that it had been durable, else the torn end of a group that was never reported as durable.
 *
 * Format 2 has acks of any length from 16 bytes on; all else is as in format 1. A segment is of one format or the
 * other, and a log may hold both. The rest of an ack, behind its mark, has a layout of its own: a reader that does not
 * know it passes over it.
 *
 * Rule for change: another layout gets another format version. Magic, version and checksum of the segment header stay
 * where they are, so that a program that does not know a version can tell it from damage and leave the log alone. */
#include <string.h>
#include <xxhash.h>

#include "common/bytes.h"
#include "common/wal/format.h"

static const char segment_magic[8] = {'F', 'L', 'K', 'W', 'A', 'L', '\r', '\n'};
static const char item_magic[4] = {'F', 'L', 'K', 'i'};
enum { FLAG_SPARSE = 1, FLAG_ACKS_KEPT = 2, HEADER_SUM_OFFSET = FLK_WAL_SEGMENT_HEADER_BYTES - 8 };

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
    flk_put_le32(out + 12, (header->sparse ? FLAG_SPARSE : 0u) | (header->acks_kept ? FLAG_ACKS_KEPT : 0u));
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
        .acks_kept = (flk_get_le32(in + 12) & FLAG_ACKS_KEPT) != 0,
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
    bool ack = item->type == FLK_WAL_ITEM_ACK && item->body_bytes >= FLK_WAL_ACK_BYTES &&
               item->body_bytes <= FLK_WAL_ACK_BYTES_READ;
    bool known = item->type == FLK_WAL_ITEM_RECORD || ack;
    bool in_range = item->lsn >= item->unsynced && item->lsn <= FLK_WAL_NUMBER_MAX;
    return known && in_range && item->body_bytes <= FLK_WAL_BODY_BYTES_MAX;
}

bool flk_wal_item_check(const uint8_t in[FLK_WAL_ITEM_HEADER_BYTES], const void *body, uint32_t body_bytes,
                        uint64_t salt) {
    return flk_get_le64(in) == item_sum(in, body, body_bytes, salt);
}

enum { ACK_LAYOUT = 1, ACK_SUBJECT = 0x80, ACK_HEAD_BYTES = FLK_WAL_ACK_BYTES + 4 };

uint32_t flk_wal_ack_encode(uint64_t lsn, const flk_wal_ending_t *ending, uint8_t out[FLK_WAL_ACK_BYTES_MAX]) {
    const size_t key_bytes = strnlen(ending->key, FLK_WAL_KEY_BYTES - 1);
    FLK_ASSERT(ending->outcome_bytes <= FLK_WAL_OUTCOME_BYTES_MAX);
    flk_put_le64(out, lsn);
    flk_put_le16(out + 8, ending->mark.status);
    flk_put_le16(out + 10, ending->mark.flags);
    flk_put_le32(out + 12, ending->mark.detail);
    if (!ending->has_subject && key_bytes == 0 && ending->outcome_bytes == 0) {
        return FLK_WAL_ACK_BYTES;
    }
    out[16] = ACK_LAYOUT;
    out[17] = (uint8_t)(key_bytes | (ending->has_subject ? ACK_SUBJECT : 0u));
    flk_put_le16(out + 18, ending->outcome_bytes);
    uint8_t *at = out + ACK_HEAD_BYTES;
    if (ending->has_subject) {
        memcpy(at, ending->subject, FLK_WAL_SUBJECT_BYTES);
        at += FLK_WAL_SUBJECT_BYTES;
    }
    memcpy(at, ending->key, key_bytes);
    at += key_bytes;
    if (ending->outcome_bytes > 0) {
        memcpy(at, ending->outcome, ending->outcome_bytes);
    }
    return (uint32_t)(at - out) + ending->outcome_bytes;
}

void flk_wal_ack_decode(const uint8_t *in, uint32_t bytes, uint64_t *lsn, flk_wal_ending_t *ending) {
    *lsn = flk_get_le64(in);
    memset(ending, 0, sizeof *ending);
    ending->mark = (flk_wal_mark_t){
        .status = flk_get_le16(in + 8), .flags = flk_get_le16(in + 10), .detail = flk_get_le32(in + 12)};
    if (bytes < ACK_HEAD_BYTES || in[16] != ACK_LAYOUT) {
        return;
    }
    const bool has_subject = (in[17] & ACK_SUBJECT) != 0;
    const size_t subject_bytes = has_subject ? FLK_WAL_SUBJECT_BYTES : 0, key_bytes = in[17] & (ACK_SUBJECT - 1);
    const uint16_t outcome_bytes = flk_get_le16(in + 18);
    if (key_bytes >= FLK_WAL_KEY_BYTES || bytes != ACK_HEAD_BYTES + subject_bytes + key_bytes + outcome_bytes) {
        return;
    }
    const uint8_t *at = in + ACK_HEAD_BYTES;
    ending->has_subject = has_subject;
    memcpy(ending->subject, at, subject_bytes);
    memcpy(ending->key, at + subject_bytes, key_bytes);
    ending->outcome_bytes = outcome_bytes;
    ending->outcome = outcome_bytes > 0 ? at + subject_bytes + key_bytes : NULL;
}
