/* SPDX-License-Identifier: MIT */
/* The lock file holds 48 bytes, all little-endian: magic "FLKLOCK\n", hash of the machine's id, device, inode, number,
 * and the XXH3-64 of these 40. Logs of before that have an empty one: they keep the number of their segments. A lock
 * file that is damaged, or missing beside segments, is taken for a copy. */
#include "common/wal/identity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/bytes.h"
#include "common/io.h"
#include "common/log.h"

static const char magic[8] = {'F', 'L', 'K', 'L', 'O', 'C', 'K', '\n'};
enum {
    MACHINE_OFFSET = 8,
    DEVICE_OFFSET = 16,
    INODE_OFFSET = 24,
    NUMBER_OFFSET = 32,
    SUM_OFFSET = 40,
    LOCK_BYTES = 48
};

/* 0 where there is none, as in most containers. */
static uint64_t machine_hash(void) {
    char text[64];
    int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
    ssize_t bytes = fd < 0 ? 0 : read(fd, text, sizeof text);
    if (fd >= 0) {
        close(fd);
    }
    return bytes > 0 ? XXH3_64bits(text, (size_t)bytes) : 0;
}

static void encode(const struct stat *place, uint64_t number, uint8_t out[LOCK_BYTES]) {
    memcpy(out, magic, sizeof magic);
    flk_put_le64(out + MACHINE_OFFSET, machine_hash());
    flk_put_le64(out + DEVICE_OFFSET, place->st_dev);
    flk_put_le64(out + INODE_OFFSET, place->st_ino);
    flk_put_le64(out + NUMBER_OFFSET, number);
    flk_put_le64(out + SUM_OFFSET, XXH3_64bits(out, SUM_OFFSET));
}

/* The number that the lock file has for this place. False: it is of another place, or damaged. */
static bool number_of_place(const uint8_t found[LOCK_BYTES], size_t bytes, const struct stat *place, uint64_t *number) {
    uint8_t here[LOCK_BYTES];
    *number = bytes == LOCK_BYTES ? flk_get_le64(found + NUMBER_OFFSET) : 0;
    encode(place, *number, here);
    return bytes == LOCK_BYTES && memcmp(found, here, sizeof here) == 0;
}

static void store(const flk_wal_config_t *config, const char *path, const struct stat *place) {
    uint8_t bytes[LOCK_BYTES];
    struct iovec iov = {.iov_base = bytes, .iov_len = sizeof bytes};
    encode(place, config->number, bytes);
    if (flk_io_pwritev(config->lock_fd, path, &iov, 1, 0, NULL) == FLK_OK) {
        (void)!flk_io_sync(config->lock_fd, path, NULL); /* else the next start finds the old bytes, and is right too */
    }
}

void flk_wal_identity_take(flk_wal_config_t *config, bool log_there, uint64_t last_number) {
    char path[FLK_WAL_PATH_BYTES];
    uint8_t found[LOCK_BYTES + 1];
    struct stat place;
    size_t bytes = 0;
    flk_wal_path(config->dir, "lock", path);
    bool readable = fstat(config->lock_fd, &place) == 0 &&
                    flk_io_pread(config->lock_fd, path, found, sizeof found, 0, &bytes, NULL) == FLK_OK;
    if (readable && number_of_place(found, bytes, &place, &config->number)) {
        return;
    }
    config->number = last_number;
    if (log_there && (!readable || bytes > 0 || config->lock_made)) {
        config->number = flk_random_u64();
        flk_log(FLK_LOG_WARN, "log_moved", FLK_S("log", config->dir), FLK_S("step", "its records get a new number"));
    }
    if (readable) {
        store(config, path, &place);
    }
}
