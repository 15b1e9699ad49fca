/* SPDX-License-Identifier: MIT */
/* The end of a session with PostgreSQL. A server goes on with a statement whose client has left, and a COMMIT that
 * waits for a standby holds its session for as long as none comes: so the statement under way is cancelled first. Any
 * thread. */
#ifndef FLK_WORKER_STORE_POSTGRES_SESSION_H
#define FLK_WORKER_STORE_POSTGRES_SESSION_H

#include <libpq-fe.h>

#include "common/err.h"

/* Cancels made at once by a process. While so many are unanswered, nobody ends another session that needs one, and so
 * nobody begins one in its place. */
enum { FLK_PG_CANCELS_MAX = 8 };

/* Has the server cancel the statement under way, and frees the connection. Blocks for up to wait_ms; a cancel that
 * takes longer goes on behind. Does not block when nothing is under way. A cancelled COMMIT has committed on the server
 * itself: a later read of the outcome finds it, although no standby has it. */
void flk_pg_session_end(PGconn *pg, uint64_t wait_ms);

#endif
