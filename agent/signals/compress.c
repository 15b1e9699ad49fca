/* SPDX-License-Identifier: MIT */
/* Rows are gathered in a chunk so that zlib is not called for every short row; only the number of bytes that come out
 * is kept. The split into chunks does not change zlib's output. */
#include "agent/signals/compress.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/pcs/canonical.h"

enum { CHUNK_BYTES = 1 << 16, LEVEL = 6 };

struct flk_compress {
    z_stream stream;
    bool any_row;
    size_t chunk_bytes;
    uint8_t chunk[CHUNK_BYTES], sink[CHUNK_BYTES];
};

flk_compress_t *flk_compress_new(void) {
    flk_compress_t *compress = calloc(1, sizeof *compress);
    if (compress != NULL && deflateInit(&compress->stream, LEVEL) != Z_OK) {
        free(compress);
        compress = NULL;
    }
    return compress;
}

void flk_compress_destroy(flk_compress_t **compress) {
    if (*compress == NULL) {
        return;
    }
    deflateEnd(&(*compress)->stream);
    free(*compress);
    *compress = NULL;
}

void flk_compress_begin(flk_compress_t *compress) {
    FLK_ASSERT(deflateReset(&compress->stream) == Z_OK);
    compress->any_row = false;
    compress->chunk_bytes = 0;
}

static void deflate_chunk(flk_compress_t *compress, int flush) {
    z_stream *stream = &compress->stream;
    stream->next_in = compress->chunk;
    stream->avail_in = (uInt)compress->chunk_bytes;
    int result;
    do {
        stream->next_out = compress->sink;
        stream->avail_out = sizeof compress->sink;
        result = deflate(stream, flush);
        FLK_ASSERT(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
    } while (stream->avail_out == 0);
    FLK_ASSERT(stream->avail_in == 0);
    compress->chunk_bytes = 0;
}

static void add_bytes(flk_compress_t *compress, const uint8_t *bytes, size_t len) {
    while (len > 0) {
        size_t room = sizeof compress->chunk - compress->chunk_bytes;
        size_t piece = len < room ? len : room;
        memcpy(compress->chunk + compress->chunk_bytes, bytes, piece);
        compress->chunk_bytes += piece;
        bytes += piece;
        len -= piece;
        if (compress->chunk_bytes == sizeof compress->chunk) {
            deflate_chunk(compress, Z_NO_FLUSH);
        }
    }
}

void flk_compress_add(flk_compress_t *compress, const void *row, size_t row_bytes) {
    if (compress->any_row) {
        add_bytes(compress, (const uint8_t *)"\n", 1);
    }
    compress->any_row = true;
    add_bytes(compress, row, row_bytes);
}

double flk_compress_ratio(flk_compress_t *compress) {
    deflate_chunk(compress, Z_FINISH);
    if (compress->stream.total_in == 0) {
        return 1.0;
    }
    double ratio = (double)compress->stream.total_out / (double)compress->stream.total_in;
    return flk_round9(ratio > 1 ? 1 : ratio);
}
