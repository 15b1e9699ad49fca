/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "agent/flk/json_out.h"
#include "agent/flk/policy/verbs.h"
#include "common/pcs/policy/compare.h"

typedef struct diff {
    bool json;
    unsigned moves, wider;
} diff_t;

static const char *const move_words[] = {
    [FLK_MOVE_OTHER] = "moved", [FLK_MOVE_WIDER] = "wider", [FLK_MOVE_NARROWER] = "narrower"};

static void print_move(const flk_policy_move_t *move) {
    printf("%-9s %s", move_words[move->move], move->name);
    if (move->rule != NULL) {
        printf(" \"%s\" %s", move->rule,
               move->before > move->after   ? "went"
               : move->before < move->after ? "came"
                                            : "has other conditions");
    } else if (strcmp(move->name, "median") == 0) {
        printf(" %s", move->after > move->before ? "mean -> upper" : "upper -> mean");
    } else {
        printf(" %.9g -> %.9g", move->before, move->after);
    }
    printf("%s%s\n", move->shard[0] != '\0' ? " for shard " : "", move->shard);
}

static void tell(void *arg, const flk_policy_move_t *move) {
    diff_t *diff = arg;
    diff->moves++;
    diff->wider += move->move == FLK_MOVE_WIDER;
    if (!diff->json) {
        print_move(move);
        return;
    }
    flk_json_out(json_pack("{s:s, s:s, s:s, s:s?, s:f, s:f}", "move", move_words[move->move], "name", move->name,
                           "shard", move->shard, "rule", move->rule, "before", move->before, "after", move->after));
}

int flk_policy_verb_diff(const flk_policy_ask_t *ask) {
    flk_policy_t before, after;
    char errmsg[FLK_ERRMSG_BYTES];
    if (!flk_policy_ask_load(ask->files[0], &before) || !flk_policy_ask_load(ask->files[1], &after)) {
        return FLK_EXIT_FAILED;
    }
    diff_t diff = {.json = ask->json};
    flk_policy_compare(&before, &after, tell, &diff);
    if (!ask->json) {
        printf("%s -> %s: %u moved, %u of them wider\n", before.version, after.version, diff.moves, diff.wider);
    }
    return flk_policy_may_follow(&before, &after, errmsg) == FLK_OK ? FLK_EXIT_OK : flk_policy_ask_failed(errmsg);
}
