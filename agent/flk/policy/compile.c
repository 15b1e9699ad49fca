/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "agent/flk/json_out.h"
#include "agent/flk/policy/verbs.h"
#include "common/pcs/policy/json.h"

int flk_policy_verb_compile(const flk_policy_ask_t *ask) {
    flk_policy_t policy;
    if (!flk_policy_ask_load(ask->files[0], &policy)) {
        return FLK_EXIT_FAILED;
    }
    flk_policy_print_json(&policy, stdout);
    return FLK_EXIT_OK;
}

int flk_policy_verb_check(const flk_policy_ask_t *ask) {
    flk_policy_t policy;
    char digest[FLK_POLICY_DIGEST_HEX + 1];
    if (!flk_policy_ask_load(ask->files[0], &policy)) {
        return FLK_EXIT_FAILED;
    }
    flk_policy_digest(&policy, digest);
    if (ask->json) {
        flk_json_out(json_pack("{s:s, s:s, s:i, s:i}", "version", policy.version, "digest", digest, "rules",
                               (int)policy.rules_len, "shards", (int)policy.shards_len));
    } else {
        printf("%s: version %s, digest %s, %u rules, %u blocks for shards\n", ask->files[0], policy.version, digest,
               policy.rules_len, policy.shards_len);
    }
    return FLK_EXIT_OK;
}
