/* SPDX-License-Identifier: MIT */
/* Every item's checksum and the places between items. Damage is where something that was promised cannot be read; a
 * torn tail is a group that was never promised, as a crash leaves it, or a live log for an instant. */
#include <stdio.h>
#include <string.h>

#include "gateway/replay/print.h"
#include "gateway/replay/verbs.h"

typedef struct verified {
    bool json;
    uint64_t records, acks, damaged, torn, missing, strangers; /* strangers: and misnamed ones */
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

static void print_file(const verified_t *verified, const char *type, const char *text, const flk_wal_item_t *item) {
    if (!verified->json) {
        printf("%s %s\n", item->segment, text);
        return;
    }
    printf("{\"type\":\"%s\",\"segment\":", type);
    flk_print_string_json(item->segment);
    if (item->type == FLK_WAL_ITEM_MISSING) {
        printf(",\"lsn\":%llu", (unsigned long long)item->record.lsn);
    }
    puts("}");
}

static bool is_set_aside(const flk_wal_item_t *item) {
    static const char end[] = ".damaged";
    size_t len = strlen(item->segment), end_len = sizeof end - 1;
    return len > end_len && strcmp(item->segment + len - end_len, end) == 0;
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
    case FLK_WAL_ITEM_MISSING:
        verified->missing++;
        print_file(verified, "missing", "is missing: put it back, or its un-acked records are lost", item);
        break;
    case FLK_WAL_ITEM_STRANGER:
        verified->strangers++;
        print_file(verified, "stranger",
                   is_set_aside(item)
                       ? "was set aside by a start, which took over all that it could read: keep it to look into, or "
                         "remove it"
                       : "is no segment of this log, or a second copy: the next start sets it aside",
                   item);
        break;
    case FLK_WAL_ITEM_MISNAMED:
        verified->strangers++;
        print_file(verified, "misnamed", "has another segment's name: it is used all the same", item);
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
    printf(options->json
               ? "{\"type\":\"summary\",\"records\":%llu,\"acks\":%llu,\"damaged\":%llu,\"torn\":%llu,"
                 "\"missing\":%llu,\"strangers\":%llu}\n"
               : "%llu records and %llu acks are sound; damaged places %llu, torn tails %llu, missing segments "
                 "%llu, files that do not belong %llu\n",
           (unsigned long long)verified.records, (unsigned long long)verified.acks,
           (unsigned long long)verified.damaged, (unsigned long long)verified.torn,
           (unsigned long long)verified.missing, (unsigned long long)verified.strangers);
    return verified.damaged + verified.missing + verified.strangers > 0 ? FLK_EXIT_FAILED : FLK_EXIT_OK;
}
