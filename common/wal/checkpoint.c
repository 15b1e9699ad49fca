/* SPDX-License-Identifier: MIT */
/* File `checkpoint`, replaced as a whole. It is a help, never the truth: it is written after its contents became
 * durable, and a missing or damaged one only makes the next start read every segment.
 *
 *    0  8  magic "FLKCKPT\n"
 *    8  4  format version 2
 *   12  4  number of rows
 *   16  8  log id
 *   24  8  next segment number
 *   32  8  next LSN
 *   40  8  durable LSN
 *   48  8  last durable LSN that is in a file: items that the retention removed from the end are not looked for
 *   56  8  XXH3-64 of everything else, seed 0
 *   64  .  rows of 64 bytes, by segment number: number, first LSN, end LSN, file bytes, time of the last item,
 *          records not settled, lowest and highest LSN that its acks name (lowest > highest: none)
 *
 * All little-endian. Another layout gets another version; a reader takes an unknown one for a missing file. */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "common/io.h"
#include "common/wal/checkpoint.h"

static const char magic[8] = {'F', 'L', 'K', 'C', 'K', 'P', 'T', '\n'};
enum { VERSION = 2, HEAD_WORDS = 8, ROW_WORDS = 8, SUM_WORD = 7, BYTES_MAX = 256 << 20 };

static uint64_t sum_of(const uint64_t *words, size_t count) {
    uint64_t seed = XXH3_64bits(words, SUM_WORD * sizeof *words);
    return XXH3_64bits_withSeed(words + HEAD_WORDS, (count - HEAD_WORDS) * sizeof *words, seed);
}

static void row_encode(const flk_wal_segment_t *segment, uint64_t *out) {
    const uint64_t words[ROW_WORDS] = {
        segment->number,       segment->first_lsn,         segment->end_lsn,
        segment->file_bytes,   (uint64_t)segment->last_ms, segment->unsettled,
        segment->acks_lsn_min, segment->acks_lsn_max,
    };
    for (size_t i = 0; i < ROW_WORDS; i++) {
        out[i] = htole64(words[i]);
    }
}

static uint64_t last_kept_lsn(const flk_wal_t *wal) {
    if (wal->writer.active != NULL && wal->writer.active->end_lsn > wal->writer.active->first_lsn) {
        return wal->writer.durable_lsn;
    }
    for (size_t i = wal->shared.segments.len; i > 0; i--) {
        if (wal->shared.segments.at[i - 1]->sealed) {
            return wal->shared.segments.at[i - 1]->end_lsn - 1;
        }
    }
    return 0;
}

flk_err_t flk_wal_checkpoint_store(flk_wal_t *wal, char *errmsg) {
    uint64_t *words = malloc((HEAD_WORDS + wal->shared.segments.len * ROW_WORDS) * sizeof *words);
    if (words == NULL) {
        flk_errmsg(errmsg, "cannot write the checkpoint of %s: out of memory", wal->config.dir);
        return FLK_E_NOMEM;
    }
    uint32_t rows = 0;
    for (size_t i = 0; i < wal->shared.segments.len; i++) {
        if (wal->shared.segments.at[i]->sealed) {
            row_encode(wal->shared.segments.at[i], words + HEAD_WORDS + rows++ * ROW_WORDS);
        }
    }
    size_t count = HEAD_WORDS + rows * (size_t)ROW_WORDS;
    memcpy(words, magic, sizeof magic);
    words[1] = htole64((uint64_t)rows << 32 | VERSION);
    words[2] = htole64(wal->config.id);
    words[3] = htole64(wal->writer.next_number);
    words[4] = htole64(wal->writer.next_lsn);
    words[5] = htole64(wal->writer.durable_lsn);
    words[6] = htole64(last_kept_lsn(wal));
    words[SUM_WORD] = htole64(sum_of(words, count));
    char path[FLK_WAL_PATH_BYTES];
    flk_wal_path(wal->config.dir, "checkpoint", path);
    flk_err_t err = flk_io_replace(path, words, count * sizeof *words, errmsg);
    for (size_t i = 0; err == FLK_OK && i < wal->shared.segments.len; i++) {
        flk_wal_segment_t *segment = wal->shared.segments.at[i];
        segment->noted = segment->sealed && segment->unsettled == 0;
    }
    free(words);
    return err;
}

static flk_err_t decode(const char *data, size_t bytes, flk_wal_checkpoint_t *checkpoint) {
    size_t count = bytes / sizeof(uint64_t);
    uint64_t *words = malloc(bytes + sizeof *words);
    if (words == NULL) {
        return FLK_E_NOMEM;
    }
    memcpy(words, data, bytes);
    flk_err_t err = FLK_E_NOT_FOUND;
    size_t rows = bytes < HEAD_WORDS * sizeof *words ? 0 : (size_t)(le64toh(words[1]) >> 32);
    if (bytes >= HEAD_WORDS * sizeof *words && bytes % sizeof *words == 0 && memcmp(words, magic, sizeof magic) == 0 &&
        (uint32_t)le64toh(words[1]) == VERSION && count == HEAD_WORDS + rows * ROW_WORDS &&
        le64toh(words[SUM_WORD]) == sum_of(words, count)) {
        checkpoint->rows = calloc(rows + 1, sizeof *checkpoint->rows);
        err = checkpoint->rows == NULL ? FLK_E_NOMEM : FLK_OK;
    }
    if (err == FLK_OK) {
        checkpoint->log_id = le64toh(words[2]);
        checkpoint->next_number = le64toh(words[3]);
        checkpoint->next_lsn = le64toh(words[4]);
        checkpoint->durable_lsn = le64toh(words[5]);
        checkpoint->kept_lsn = le64toh(words[6]);
        checkpoint->rows_len = rows;
        for (size_t i = 0; i < rows; i++) {
            const uint64_t *in = words + HEAD_WORDS + i * ROW_WORDS;
            checkpoint->rows[i] = (flk_wal_row_t){
                .number = le64toh(in[0]),
                .first_lsn = le64toh(in[1]),
                .end_lsn = le64toh(in[2]),
                .bytes = le64toh(in[3]),
                .last_ms = (int64_t)le64toh(in[4]),
                .unsettled = le64toh(in[5]),
                .acks_lsn_min = le64toh(in[6]),
                .acks_lsn_max = le64toh(in[7]),
            };
        }
    }
    free(words);
    return err;
}

flk_err_t flk_wal_checkpoint_load(const char *dir, flk_wal_checkpoint_t *checkpoint, char *errmsg) {
    char path[FLK_WAL_PATH_BYTES];
    snprintf(path, sizeof path, "%s/checkpoint", dir);
    *checkpoint = (flk_wal_checkpoint_t){0};
    struct stat status;
    if (lstat(path, &status) == 0 && !S_ISREG(status.st_mode)) { /* a stranger: as if there were none */
        return FLK_E_NOT_FOUND;
    }
    char *data;
    size_t bytes;
    flk_err_t err = flk_io_read_own(path, BYTES_MAX, &data, &bytes, errmsg);
    if (err != FLK_OK) {
        return err == FLK_E_TOO_LARGE ? FLK_E_NOT_FOUND : err;
    }
    err = decode(data, bytes, checkpoint);
    free(data);
    return err;
}
