/* SPDX-License-Identifier: MIT */
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/machine.h"
#include "common/program/allocator.h"
#include "tests/unit/rig/suite.h"

enum { THREADS = 40, LARGE = 1 << 20, MIDDLE = 200 << 10 };

static pthread_barrier_t met;

static void *allocate(void *arg) {
    char *volatile block = malloc(100);
    ck_assert_ptr_nonnull(block);
    pthread_barrier_wait(&met);
    free(block);
    return arg;
}

static unsigned arenas(void) {
    char *text = NULL;
    size_t text_bytes;
    FILE *out = open_memstream(&text, &text_bytes);
    ck_assert_int_eq(malloc_info(0, out), 0);
    ck_assert_int_eq(fclose(out), 0);
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, "<heap nr=")) != NULL; at++) {
        count++;
    }
    free(text);
    return count;
}

/* Many threads share an arena a core, and a block of a size is mapped by itself after a larger one was freed. */
START_TEST(test_allocator_is_bound) {
    flk_allocator_bound();
    pthread_t threads[THREADS];
    ck_assert_int_eq(pthread_barrier_init(&met, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, allocate, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&met);
    unsigned cores = flk_machine_cores();
    ck_assert_uint_le(arenas(), cores > 2 ? cores : 2);
    char *volatile large = malloc(LARGE);
    free(large);
    size_t mapped = mallinfo2().hblks;
    char *volatile middle = malloc(MIDDLE);
    ck_assert_uint_eq(mallinfo2().hblks, mapped + 1);
    free(middle);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("allocator");
    TCase *tests = tcase_create("allocator");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* whose allocator is another one */
    tcase_add_test(tests, test_allocator_is_bound);
#else
    (void)test_allocator_is_bound;
#endif
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
