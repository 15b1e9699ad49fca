/* SPDX-License-Identifier: MIT */
/* Which submissions may come in, and the places in memory that they take. Any thread. */
#ifndef FLK_GATEWAY_ADMISSION_H
#define FLK_GATEWAY_ADMISSION_H

#include "gateway/gateway.h"

/* Observes a submission and decides whether it may come in. FLK_OK: the submission and its body have a place in
 * memory, and its client waits. Otherwise `answer` (429 or 503) tells why not. */
FLK_MUST_CHECK flk_err_t flk_admission_admit(flk_gateway_t *gateway, size_t body_bytes, flk_answer_t *answer);

void flk_admission_release(flk_gateway_t *gateway, size_t body_bytes); /* gives the place of a submission back */
void flk_admission_leave(flk_gateway_t *gateway,
                         size_t body_bytes); /* … of one that never came to be: no client waits */

/* The parts of flk_admission_admit, for refusals with a reason of the door's own. _observe counts a submission.
 * _refuse counts an observed one as throttled (429) or refused (503) and fills `answer`. */
void flk_admission_observe(flk_gateway_t *gateway);
void flk_admission_refuse(flk_gateway_t *gateway, uint16_t status, const char *why, uint32_t retry_ms,
                          flk_answer_t *answer);

#endif
