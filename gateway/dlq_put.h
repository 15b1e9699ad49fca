/* SPDX-License-Identifier: MIT */
/* Dead letters on their way into their log. Relay thread. */
#ifndef FLK_GATEWAY_DLQ_PUT_H
#define FLK_GATEWAY_DLQ_PUT_H

#include "gateway/relay.h"

/* A submission is given up. Takes it. */
void flk_dlq_put_begin(flk_relay_t *relay, flk_submission_t *submission, flk_dead_letter_t why);
/* No verdict for now: defers the submission, or gives it up when its record is old and was tried in vain often
 * enough (tries.h). `unfit`: there was a verdict, but it does not fit. Takes it. */
void flk_dlq_put_off(flk_relay_t *relay, flk_submission_t *submission, uint32_t retry_ms, const char *why, bool unfit);
void flk_dlq_put_end(flk_relay_t *relay, flk_submission_t *submission); /* back from the dead-letter log */
void flk_dlq_put_tick(flk_relay_t *relay);                              /* each second: tries failed ones again */

#endif
