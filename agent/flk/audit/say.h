/* SPDX-License-Identifier: MIT */
/* The contents of a leaf and a checkpoint, for people and as JSON; and whether witnesses have cosigned. One thread. */
#ifndef FLK_AGENT_FLK_AUDIT_SAY_H
#define FLK_AGENT_FLK_AUDIT_SAY_H

#include <jansson.h>

#include "agent/flk/audit/audit.h"
#include "common/tlog/checkpoint.h"
#include "common/tlog/leaf.h"

/* "budget_mismatch, degraded", as flk_reply_line_t has them. */
enum { FLK_AUDIT_REASONS_BYTES = 512 };
const char *flk_audit_reasons(const flk_tlog_leaf_t *leaf, char text[FLK_AUDIT_REASONS_BYTES]);

void flk_audit_say_leaf(const flk_tlog_leaf_t *leaf, uint64_t index);
void flk_audit_say_checkpoint(const flk_audit_options_t *options, const flk_note_t *note,
                              const flk_tlog_checkpoint_t *checkpoint);

/* {"origin", "size", "root", "key", "witnesses": [{"key", "time"}]}; NULL: out of memory. */
json_t *flk_audit_json_checkpoint(const flk_audit_options_t *options, const flk_note_t *note,
                                  const flk_tlog_checkpoint_t *checkpoint);

/* Errors: those of flk_note_verify, of the first witness that has not signed. */
FLK_MUST_CHECK flk_err_t flk_audit_witnesses(const flk_audit_options_t *options, const flk_note_t *note, char *errmsg);

#endif
