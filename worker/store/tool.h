/* SPDX-License-Identifier: MIT */
/* flk-worker's commands about the store: beside workers that serve, or without any.
 *
 *   flk-worker --migrate         brings the PostgreSQL schema to this program's version
 *   flk-worker store check       tells whether a put would work now
 *   flk-worker store get ID      prints the outcome of a pcs_id
 *   flk-worker store stats       prints how much is kept, a line a part
 *   flk-worker store export      prints every outcome, a line each
 *   flk-worker store import      puts exported outcomes, if absent; from standard input. Leaves out, tells and counts
 *                                values that are no outcome, another id's, or to be kept for more than ten years; then
 *                                exits with 1
 *
 * A line of export, in any order, and the same outcome may come twice:
 *   {"pcs_id":"64 hex digits","expires_ms":1700000000000,"outcome":"base64 of the outcome's bytes (proto/body.h)"}
 */
#ifndef FLK_WORKER_STORE_TOOL_H
#define FLK_WORKER_STORE_TOOL_H

#include "common/err.h"

/* For --help of flk-worker. argv[0] "flk store" is that command: it calls itself so, and has a help of its own. */
#define FLK_STORE_TOOL_USAGE                                                                                           \
    "  flk-worker --migrate        make or update the PostgreSQL schema\n"                                             \
    "  flk-worker store check      try whether the store takes outcomes now\n"                                         \
    "  flk-worker store get ID     print the outcome of a pcs_id\n"                                                    \
    "  flk-worker store stats      print how much the store keeps\n"                                                   \
    "  flk-worker store export     print every outcome, one JSON object a line\n"                                      \
    "  flk-worker store import     put exported outcomes if absent, from standard input"

/* True when the arguments are one of the commands above, or begin like one; then *status is the exit status. */
bool flk_store_tool(int argc, char **argv, int *status);

#endif
