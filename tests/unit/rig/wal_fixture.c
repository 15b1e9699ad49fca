/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/wal_fixture.h"

char dir[64];
char errmsg[FLK_ERRMSG_BYTES];

void setup(void) {
    strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/flk-wal-XXXXXX" : "/tmp/flk-wal-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

void teardown(void) {
    char command[96];
    flk_io_set_fault(NULL, NULL);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

uint32_t body_make(uint64_t id, uint8_t body[BODY_BYTES_MAX]) {
    uint64_t state = id * UINT64_C(0x9e3779b97f4a7c15) + 1;
    uint32_t bytes = 16 + (uint32_t)(state >> 40) % 400;
    if (id % 97 == 0) {
        bytes = BODY_BYTES_MAX - (uint32_t)(id % 8);
    }
    memcpy(body, &id, sizeof id);
    for (uint32_t i = sizeof id; i < bytes; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        body[i] = (uint8_t)(state >> 56);
    }
    return bytes;
}

uint64_t body_id(const void *body, uint32_t body_bytes) {
    uint8_t expected[BODY_BYTES_MAX];
    uint64_t id;
    ck_assert_uint_ge(body_bytes, sizeof id);
    memcpy(&id, body, sizeof id);
    ck_assert_uint_eq(body_make(id, expected), body_bytes);
    ck_assert_mem_eq(body, expected, body_bytes);
    return id;
}

flk_wal_t *open_with(flk_wal_options_t options) {
    flk_wal_t *wal = NULL;
    options.dir = dir;
    options.low_water_bytes = options.low_water_bytes != 0 ? options.low_water_bytes : 1;
    flk_err_t err = flk_wal_open(&options, &wal, errmsg);
    ck_assert_msg(err == FLK_OK, "%s", errmsg);
    return wal;
}

flk_wal_t *open_log(void) {
    return open_with((flk_wal_options_t){.segment_bytes_max = 64 << 10});
}

flk_err_t try_append(flk_wal_t *wal, uint64_t id, uint64_t *lsn) {
    uint8_t body[BODY_BYTES_MAX];
    uint32_t bytes = body_make(id, body);
    return flk_wal_append_wait(wal, (uint8_t)id, body, bytes, lsn, errmsg);
}

uint64_t append(flk_wal_t *wal, uint64_t id) {
    uint64_t lsn = 0;
    flk_err_t err = try_append(wal, id, &lsn);
    ck_assert_msg(err == FLK_OK, "%s", errmsg);
    return lsn;
}

void ack(flk_wal_t *wal, uint64_t lsn) {
    flk_wal_ack(wal, lsn, (flk_wal_mark_t){.status = 200, .flags = 3, .detail = (uint32_t)lsn});
}

flk_wal_stats_t stats_of(const flk_wal_t *wal) {
    flk_wal_stats_t stats;
    flk_wal_stats(wal, &stats);
    return stats;
}

size_t unacked_ids(flk_wal_t *wal, uint64_t *ids, size_t ids_max) {
    flk_wal_cursor_t *cursor;
    flk_wal_record_t record;
    size_t count = 0;
    uint64_t last_lsn = 0;
    flk_err_t err;
    ck_assert_int_eq(flk_wal_cursor_new(wal, &cursor), FLK_OK);
    while ((err = flk_wal_cursor_next(cursor, &record, errmsg)) == FLK_OK) {
        ck_assert_uint_lt(count, ids_max);
        ck_assert_uint_gt(record.lsn, last_lsn);
        last_lsn = record.lsn;
        ids[count] = body_id(record.body, record.body_bytes);
        ck_assert_uint_eq(record.kind, ids[count] & 0xff);
        count++;
    }
    ck_assert_msg(err == FLK_E_NOT_FOUND, "%s", errmsg);
    flk_wal_cursor_destroy(&cursor);
    return count;
}

static int by_name(const void *a, const void *b) {
    return strcmp(a, b);
}

names_t list_files(const char *ending) {
    names_t names = {.len = 0};
    DIR *stream = opendir(dir);
    ck_assert_ptr_nonnull(stream);
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        size_t len = strlen(entry->d_name);
        if (len >= strlen(ending) && strcmp(entry->d_name + len - strlen(ending), ending) == 0) {
            ck_assert_uint_lt(names.len, FLK_COUNT_OF(names.at));
            ck_assert_uint_lt(len, sizeof names.at[0]);
            strcpy(names.at[names.len++], entry->d_name);
        }
    }
    closedir(stream);
    qsort(names.at, names.len, sizeof names.at[0], by_name);
    return names;
}

const char *path_of(const char *name) {
    static _Thread_local char paths[4][PATH_MAX];
    static _Thread_local unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_MAX, "%s/%s", dir, name);
    return path;
}

size_t load_file(const char *name, uint8_t **data) {
    char *text;
    size_t bytes;
    ck_assert_int_eq(flk_io_read_file(path_of(name), 64 << 20, &text, &bytes, errmsg), FLK_OK);
    *data = (uint8_t *)text;
    return bytes;
}

void store_file(const char *name, const void *data, size_t bytes) {
    FILE *file = fopen(path_of(name), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, bytes, file), bytes);
    ck_assert_int_eq(fclose(file), 0);
}

int run_suite(TCase *tcase) {
    Suite *suite = suite_create("wal");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 240);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
