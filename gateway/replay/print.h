/* SPDX-License-Identifier: MIT */
/* The forms of a record: a row of a table, a line of JSON, a page. All to standard output. */
#ifndef FLK_GATEWAY_REPLAY_PRINT_H
#define FLK_GATEWAY_REPLAY_PRINT_H

#include "gateway/replay/journal.h"

enum { FLK_TIME_BYTES = 40, FLK_WORDS_BYTES = 256 };

/* "2026-01-31T12:00:00.123Z" */
const char *flk_print_time(int64_t time_ms, char out[FLK_TIME_BYTES]);
/* "duplicate,conflict", "dead_letter"; "-" for none. */
const char *flk_print_flags(unsigned flags, char out[FLK_WORDS_BYTES]);
/* "d_hat_unverifiable,degraded"; "-" for none. */
const char *flk_print_reasons(uint32_t reasons, char out[FLK_WORDS_BYTES]);
/* The same as a JSON array, without a name. */
void flk_print_reasons_json(uint32_t reasons);
/* A JSON string with its quotes, of any bytes. */
void flk_print_string_json(const char *text);

void flk_print_table_head(void);
void flk_print_row(const flk_journal_record_t *record);
/* One line. `body`: with the PCS; a body that is no PCS as base64. FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_print_json(const flk_journal_record_t *record, bool body);
/* Only the PCS, as flk-agent submit --pcs reads it; nothing for a body that is no PCS. FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_print_pcs(const flk_journal_record_t *record);
/* All about one record, with its PCS. FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_print_page(const flk_journal_record_t *record);

#endif
