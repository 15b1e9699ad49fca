/* SPDX-License-Identifier: MIT */
/* The output of a command's --json: one JSON text a line on standard output. */
#ifndef FLK_AGENT_FLK_JSON_OUT_H
#define FLK_AGENT_FLK_JSON_OUT_H

#include <jansson.h>

/* Prints `value` on a line of its own and flushes it. Takes value; NULL (out of memory) ends the process. */
void flk_json_out(json_t *value);

#endif
