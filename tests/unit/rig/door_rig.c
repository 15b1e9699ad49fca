/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/door_rig.h"

#include <pthread.h>

flk_http_door_t *door_rig;
int door_fd = -1;
unsigned door_submits;
static bool broker_stops, broker_holds; /* atomic */
static pthread_t broker_thread;

unsigned door_port(void) {
    char address[FLK_LISTEN_TEXT_BYTES];
    flk_http_door_address(door_rig, address);
    return (unsigned)atoi(strrchr(address, ':') + 1);
}

static void *play_broker(void *arg) {
    played_t *broker = arg;
    while (!__atomic_load_n(&broker_stops, __ATOMIC_SEQ_CST)) {
        if (played_next(broker, FLK_SUBMIT, 20)) {
            uint64_t lsn;
            ck_assert(flk_id_to_lsn(&broker->message.frame.id, flk_wal_id(rig.gateway.inbox), &lsn));
            __atomic_fetch_add(&door_submits, 1, __ATOMIC_SEQ_CST);
            while (__atomic_load_n(&broker_holds, __ATOMIC_SEQ_CST)) {
                poll(NULL, 0, 1);
            }
            played_verdict(broker, lsn, 200, 0);
        }
    }
    return NULL;
}

void door_hold_broker(bool hold) {
    __atomic_store_n(&broker_holds, hold, __ATOMIC_SEQ_CST);
}

static void start_door(void) {
    setenv("FLK_HTTP_LISTEN", "127.0.0.1:0", 1);
    rig_set("FLK_HTTP_THREADS", 8);
    played_t *broker = rig_start_met(1000);
    ck_assert_msg(flk_http_door_start(&rig.gateway, &door_rig, errmsg) == FLK_OK, "%s", errmsg);
    broker_stops = broker_holds = false;
    door_submits = 0;
    ck_assert_int_eq(pthread_create(&broker_thread, NULL, play_broker, broker), 0);
    door_fd = talk_open(door_port());
}

void door_setup(void) {
    rig_setup();
    start_door();
}

void door_setup_hurried(void) {
    rig_setup();
    rig_set("FLK_REQUEST_TIMEOUT_MS", 1000);
    start_door();
}

void door_teardown(void) {
    close(door_fd);
    door_hold_broker(false);
    flk_http_door_stop(&door_rig);
    __atomic_store_n(&broker_stops, true, __ATOMIC_SEQ_CST);
    pthread_join(broker_thread, NULL);
    rig_teardown();
}

char *door_pcs_text(uint64_t n, size_t body_bytes) {
    flk_pcs_t pcs;
    char *json;
    size_t json_bytes;
    pcs_make(n, 0.5, &pcs);
    ck_assert_int_eq(flk_pcs_to_json(&pcs, &json, &json_bytes), FLK_OK);
    flk_pcs_fini(&pcs);
    size_t bytes = json_bytes > body_bytes ? json_bytes : body_bytes;
    char *text = malloc(bytes + 1);
    memset(text, ' ', bytes);
    memcpy(text, json, json_bytes);
    text[bytes] = '\0';
    free(json);
    return text;
}
