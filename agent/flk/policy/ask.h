/* SPDX-License-Identifier: MIT */
/* The arguments of `flk policy VERB`, and the files that it names. */
#ifndef FLK_AGENT_FLK_POLICY_ASK_H
#define FLK_AGENT_FLK_POLICY_ASK_H

#include "common/pcs/policy/load.h"

typedef struct flk_policy_ask {
    bool json;
    const char *policy_file; /* --policy: the policy that judges, or that judged so far; NULL: the built-in one */
    const char *log_dir;     /* --log */
    char **files;            /* as many as the verb wants, then NULL */
} flk_policy_ask_t;

/* Loads the policy of that file, or with - of standard input; NULL: the built-in one. False: refused, and told. */
FLK_MUST_CHECK bool flk_policy_ask_load(const char *file, flk_policy_t *policy);
/* Tells a failure; gives FLK_EXIT_FAILED. */
FLK_MUST_CHECK int flk_policy_ask_failed(const char *errmsg);

#endif
