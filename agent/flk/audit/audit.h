/* SPDX-License-Identifier: MIT */
/* The command line of `flk audit`, and its verbs. Each prints for people, or with --json one JSON document, and returns
 * the exit status. One thread. */
#ifndef FLK_AGENT_FLK_AUDIT_AUDIT_H
#define FLK_AGENT_FLK_AUDIT_AUDIT_H

#include "common/tlog/note_key.h"

enum { FLK_AUDIT_WITNESSES_MAX = 16 };

typedef struct flk_audit_options {
    char **operands; /* ended by NULL */
    const char *dir, *since, *answers;
    bool json, has_key;
    flk_note_key_t key;
    unsigned witnesses_len;
    flk_note_key_t witnesses[FLK_AUDIT_WITNESSES_MAX];
} flk_audit_options_t;

int flk_audit_prove(const flk_audit_options_t *options);
int flk_audit_verify(const flk_audit_options_t *options);
int flk_audit_check(const flk_audit_options_t *options);

#endif
