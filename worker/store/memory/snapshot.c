/* SPDX-License-Identifier: MIT */
/* Writing: open the temporary file, append one shard after the other, trailer, sync, close, rename, sync the
 * directory. A failure at any step leaves the snapshot of before; the caller tries again at its next period.
 * Loading: read in blocks, put entry after entry, compare count and checksum at the end. Damage is not repaired: an
 * outcome that was answered must not be forgotten in silence, so a person decides. */
#include "worker/store/memory/snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/bytes.h"
#include "common/io.h"

enum {
    HEAD_BYTES = 8,
    ENTRY_BYTES = 8 + 2 + FLK_STORE_KEY_BYTES, /* without the value */
    TRAILER_BYTES = 8 + 8,
    BLOCK_BYTES = 1 << 18,
};
static const char magic[HEAD_BYTES + 1] = "FLKMEM01";

/* ---- writing ---- */

struct writer {
    const char *path; /* of the temporary file */
    int fd;
    uint64_t offset, count;
    XXH3_state_t *hash;
    uint8_t *bytes; /* one shard */
    size_t len, cap;
    flk_err_t err;
};

static uint8_t *reserve(struct writer *writer, size_t bytes) {
    if (writer->len + bytes > writer->cap) {
        size_t cap = 2 * (writer->cap + bytes);
        uint8_t *grown = realloc(writer->bytes, cap);
        if (grown == NULL) {
            writer->err = FLK_E_NOMEM;
            return NULL;
        }
        writer->bytes = grown;
        writer->cap = cap;
    }
    uint8_t *at = writer->bytes + writer->len;
    writer->len += bytes;
    return at;
}

static bool append_entry(void *arg, const uint8_t key[FLK_STORE_KEY_BYTES], const uint8_t *value, size_t value_bytes,
                         int64_t expires_ms) {
    struct writer *writer = arg;
    uint8_t *at = reserve(writer, ENTRY_BYTES + value_bytes);
    if (at == NULL) {
        return false;
    }
    flk_put_be64(at, (uint64_t)expires_ms);
    flk_put_be16(at + 8, (uint16_t)value_bytes);
    memcpy(at + 10, key, FLK_STORE_KEY_BYTES);
    memcpy(at + ENTRY_BYTES, value, value_bytes);
    writer->count++;
    return true;
}

static flk_err_t flush(struct writer *writer, char *errmsg) {
    if (writer->err != FLK_OK) {
        flk_errmsg(errmsg, "out of memory while copying the table");
        return writer->err;
    }
    if (writer->len == 0) {
        return FLK_OK;
    }
    XXH3_64bits_update(writer->hash, writer->bytes, writer->len);
    struct iovec iov = {.iov_base = writer->bytes, .iov_len = writer->len};
    flk_err_t err = flk_io_pwritev(writer->fd, writer->path, &iov, 1, writer->offset, errmsg);
    writer->offset += writer->len;
    writer->len = 0;
    return err;
}

static flk_err_t write_trailer(struct writer *writer, char *errmsg) {
    uint8_t count[8], sum[8];
    flk_put_be64(count, writer->count);
    XXH3_64bits_update(writer->hash, count, sizeof count);
    flk_put_be64(sum, XXH3_64bits_digest(writer->hash));
    struct iovec iov[] = {{.iov_base = count, .iov_len = sizeof count}, {.iov_base = sum, .iov_len = sizeof sum}};
    return flk_io_pwritev(writer->fd, writer->path, iov, 2, writer->offset, errmsg);
}

static flk_err_t write_all(struct writer *writer, flk_table_t *table, char *errmsg) {
    memcpy(writer->bytes, magic, HEAD_BYTES); /* the caller made room */
    writer->len = HEAD_BYTES;
    for (size_t shard = 0; shard < FLK_TABLE_SHARDS; shard++) {
        (void)flk_table_visit(table, shard, append_entry, writer); /* stops early only with writer->err set */
        flk_err_t err = flush(writer, errmsg);
        if (err != FLK_OK) {
            return err;
        }
    }
    flk_err_t err = write_trailer(writer, errmsg);
    return err != FLK_OK ? err : flk_io_sync(writer->fd, writer->path, errmsg);
}

flk_err_t flk_snapshot_write(flk_table_t *table, const char *dir, const char *path, char *errmsg) {
    char temporary[4096];
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    struct writer writer = {.path = temporary, .fd = -1, .hash = XXH3_createState(), .cap = BLOCK_BYTES};
    writer.bytes = malloc(writer.cap);
    flk_err_t err = FLK_E_NOMEM;
    if (writer.hash == NULL || writer.bytes == NULL) {
        flk_errmsg(errmsg, "out of memory");
        goto out;
    }
    XXH3_64bits_reset(writer.hash);
    unlink(temporary); /* of an attempt that was cut off, or a stranger's */
    err = flk_io_open(temporary, O_WRONLY | O_CREAT | O_EXCL, &writer.fd, errmsg);
    if (err != FLK_OK) {
        goto out;
    }
    err = write_all(&writer, table, errmsg);
    flk_err_t close_err = flk_io_close(writer.fd, temporary, err == FLK_OK ? errmsg : NULL);
    err = err != FLK_OK ? err : close_err;
    if (err == FLK_OK) {
        err = flk_io_rename(temporary, path, errmsg);
    }
    if (err != FLK_OK) {
        unlink(temporary); /* else the next attempt does */
        goto out;
    }
    err = flk_io_sync_dir(dir, errmsg);
out:
    XXH3_freeState(writer.hash);
    free(writer.bytes);
    return err;
}

/* ---- loading ---- */

struct reader {
    const char *path;
    int fd;
    uint64_t offset; /* of the next block in the file */
    XXH3_state_t *hash;
    uint8_t *block;
    size_t at, len; /* the part of the block that is not consumed yet */
};

/* The next `bytes` bytes, hashed when `hashed`; FLK_E_CORRUPT when the file ends before. */
static flk_err_t take(struct reader *reader, size_t bytes, bool hashed, const uint8_t **out, char *errmsg) {
    if (reader->len - reader->at < bytes) {
        memmove(reader->block, reader->block + reader->at, reader->len - reader->at);
        reader->len -= reader->at;
        reader->at = 0;
        size_t got;
        flk_err_t err = flk_io_pread(reader->fd, reader->path, reader->block + reader->len, BLOCK_BYTES - reader->len,
                                     reader->offset, &got, errmsg);
        if (err != FLK_OK) {
            return err;
        }
        reader->offset += got;
        reader->len += got;
        if (reader->len < bytes) {
            flk_errmsg(errmsg, "ends too early");
            return FLK_E_CORRUPT;
        }
    }
    *out = reader->block + reader->at;
    reader->at += bytes;
    if (hashed) {
        XXH3_64bits_update(reader->hash, *out, bytes);
    }
    return FLK_OK;
}

static flk_err_t load_entry(struct reader *reader, flk_table_t *table, flk_store_item_t *item, int64_t now_ms,
                            char *errmsg) {
    const uint8_t *head, *value;
    flk_err_t err = take(reader, ENTRY_BYTES, true, &head, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    int64_t expires_ms = (int64_t)flk_get_be64(head);
    item->value_bytes = flk_get_be16(head + 8);
    memcpy(item->key, head + 10, FLK_STORE_KEY_BYTES);
    if (item->value_bytes > FLK_STORE_VALUE_BYTES_MAX) {
        flk_errmsg(errmsg, "has a value of %u bytes", (unsigned)item->value_bytes);
        return FLK_E_CORRUPT;
    }
    err = take(reader, item->value_bytes, true, &value, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    memcpy(item->value, value, item->value_bytes);
    return expires_ms > now_ms ? flk_table_put(table, item, now_ms, expires_ms) : FLK_OK;
}

static flk_err_t load_all(struct reader *reader, uint64_t file_bytes, flk_table_t *table, int64_t now_ms,
                          char *errmsg) {
    const uint8_t *bytes;
    flk_err_t err = take(reader, HEAD_BYTES, true, &bytes, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    if (memcmp(bytes, magic, HEAD_BYTES) != 0) {
        flk_errmsg(errmsg, "does not begin with %s", magic);
        return FLK_E_CORRUPT;
    }
    uint64_t count = 0;
    flk_store_item_t item;
    while (reader->offset - (reader->len - reader->at) + TRAILER_BYTES < file_bytes) {
        err = load_entry(reader, table, &item, now_ms, errmsg);
        if (err != FLK_OK) {
            return err;
        }
        count++;
    }
    if ((err = take(reader, 8, true, &bytes, errmsg)) != FLK_OK) {
        return err;
    }
    bool same = flk_get_be64(bytes) == count;
    if ((err = take(reader, 8, false, &bytes, errmsg)) != FLK_OK) {
        return err;
    }
    if (!same || flk_get_be64(bytes) != XXH3_64bits_digest(reader->hash)) {
        flk_errmsg(errmsg, "fails its checksum");
        return FLK_E_CORRUPT;
    }
    return FLK_OK;
}

flk_err_t flk_snapshot_load(flk_table_t *table, const char *path, int64_t now_ms, char *errmsg) {
    struct reader reader = {.path = path, .fd = -1};
    flk_err_t err = flk_io_open(path, O_RDONLY, &reader.fd, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    reader.hash = XXH3_createState();
    reader.block = malloc(BLOCK_BYTES);
    off_t file_bytes = lseek(reader.fd, 0, SEEK_END);
    if (reader.hash == NULL || reader.block == NULL) {
        flk_errmsg(errmsg, "out of memory");
        err = FLK_E_NOMEM;
    } else if (file_bytes < 0) {
        flk_errmsg(errmsg, "cannot be measured");
        err = FLK_E_IO;
    } else {
        XXH3_64bits_reset(reader.hash);
        err = load_all(&reader, (uint64_t)file_bytes, table, now_ms, errmsg);
    }
    XXH3_freeState(reader.hash);
    free(reader.block);
    close(reader.fd); /* nothing was written */
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, path);
    }
    return err;
}
