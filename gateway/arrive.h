/* SPDX-License-Identifier: MIT */
/* A submission comes to the relay: from the log's writer, or out of the log by the re-drive. Relay thread. */
#ifndef FLK_GATEWAY_ARRIVE_H
#define FLK_GATEWAY_ARRIVE_H

#include "gateway/relay.h"

/* Refuses a submission, answers it as a dead letter, or puts it into the table as pending. Takes it. */
void flk_relay_arrive(flk_relay_t *relay, flk_submission_t *submission);

#endif
