/* SPDX-License-Identifier: MIT */
/* Every item's checksum and the places between items. Damage is where something that was promised cannot be read; a torn tail is a group
 * that was never promised, as a crash leaves it, or a live log for an instant. */
#include <stdio.h>

#include "gateway/replay/print.h"
#include "gateway/replay/verbs.h"

typedef struct verified {
    bool json;
    uint64_t records, acks, damaged, torn;
} verified_t;

static void print_place(const verified_t *verified, const char *what, const flk_wal_item_t *item) {
    if (!verified->json) {
        printf("%s in %s at offset %llu, %llu bytes\n", what, item->segment, (unsigned long long)item->offset,
               (unsigned long long)item->bytes);
        return;
    }
    printf("{\"type\":\"%s\",\"segment\":", what);
    flk_print_string_json(item->segment);
    printf(",\"offset\":%llu,\"bytes\":%llu}\n", (unsigned long long)item->offset, (unsigned long long)item->bytes);
}

static bool take_item(void *arg, const flk_wal_item_t *item) {
    verified_t *verified = arg;
    switch (item->type) {
    case FLK_WAL_ITEM_RECORD:
        verified->records++;
        break;
    case FLK_WAL_ITEM_ACK:
        verified->acks++;
        break;
    case FLK_WAL_ITEM_DAMAGE:
        verified->damaged++;
        print_place(verified, "damage", item);
        break;
    case FLK_WAL_ITEM_TORN:
        verified->torn++;
        print_place(verified, "torn", item);
        break;
    }
    return true;
}

int flk_replay_verify(const flk_replay_options_t *options, const char *dir) {
    char errmsg[FLK_ERRMSG_BYTES];
    verified_t verified = {.json = options->json};
    if (flk_wal_read(dir, take_item, &verified, errmsg) != FLK_OK) {
        return flk_replay_failed(errmsg);
    }
    printf(options->json ? "{\"type\":\"summary\",\"records\":%llu,\"acks\":%llu,\"damaged\":%llu,\"torn\":%llu}\n"
                         : "%llu records and %llu acks are sound; damaged places %llu, torn tails %llu\n",
           (unsigned long long)verified.records, (unsigned long long)verified.acks,
           (unsigned long long)verified.damaged, (unsigned long long)verified.torn);
    return verified.damaged > 0 ? FLK_REPLAY_FAILED : FLK_REPLAY_OK;
}
