/* SPDX-License-Identifier: MIT */
/* The HTTP door on a free port, before a real gateway with a broker that answers each SUBMIT at once or when it may.
 * For tests only. */
#ifndef FLK_TESTS_UNIT_DOOR_RIG_H
#define FLK_TESTS_UNIT_DOOR_RIG_H

#include "gateway/http_door.h"
#include "tests/unit/rig/gateway_rig.h"
#include "tests/unit/rig/http_talk.h"

extern flk_http_door_t *door_rig; /* NULL: stopped */
extern int door_fd;               /* of a connection; -1: closed */
extern unsigned door_submits;     /* that came to the broker; atomic */

/* rig_setup, the door and the broker. _hurried: requests may take one second, for tests in which no verdict comes. */
void door_setup(void);
void door_setup_hurried(void);
void door_teardown(void);

unsigned door_port(void);
/* While true, a SUBMIT that came is not answered. */
void door_hold_broker(bool hold);
/* The n-th PCS as JSON text, padded with blanks to body_bytes if that is more. Caller frees. */
char *door_pcs_text(uint64_t n, size_t body_bytes);

#endif
