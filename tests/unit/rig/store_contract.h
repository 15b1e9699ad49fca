/* SPDX-License-Identifier: MIT */
/* The contract of worker/store/store.h as far as it is the same for each backend. The including file defines
 * backend_options(i) first, and adds the contract for its backends. FLK_TEST_LONG makes the big case far bigger.
 */
#ifndef FLK_TESTS_STORE_CONTRACT_H
#define FLK_TESTS_STORE_CONTRACT_H

#include <pthread.h>

#include "tests/unit/rig/store_fixture.h"

flk_store_options_t backend_options(int backend);
enum { BATCH = 256, RACERS = 64 };

flk_store_t *open_backend(int backend);

struct racer {
    pthread_t thread;
    flk_store_t *store;
    pthread_barrier_t *start;
    flk_store_item_t item;
    flk_err_t err;
    char errmsg[FLK_ERRMSG_BYTES];
};

void *race(void *arg);

struct seen {
    unsigned count[3]; /* of the keys 0, 1, 2 */
    int64_t expires_ms[3];
    unsigned others, stop_after;
};

bool see(void *arg, const uint8_t key[FLK_STORE_KEY_BYTES], const uint8_t *value, size_t value_bytes,
         int64_t expires_ms);

/* A server's store keeps an outcome for its time to live by the server's clock, and then takes another one. */
void check_server_forgets(flk_store_t *store);

void add_store_contract(TCase *tcase, int backends_len);

#endif
