/* SPDX-License-Identifier: MIT */
/* The tables of the PostgreSQL store, in schema "flk", and their making.
 *
 *   meta          version of the schema; a time that health probes write
 *   generations   one row for each partition of outcomes; the greatest number is the current one
 *   outcomes      (pcs_id, generation) -> outcome, expires_at; partitioned by list (generation)
 *   maintain()    opens the next generation when its time has come, drops those in which everything has expired
 *
 * A partitioned table cannot keep pcs_id unique over its partitions, so first write wins is kept by this rule: every
 * put takes the advisory lock (FLK_PG_LOCKS, FLK_PG_LOCK_GENERATION) shared, and only after that reads which
 * generation is current; maintain() opens a generation under the same lock, exclusive. So at any time all puts write
 * into one partition, whose primary key decides between them, and every older partition is at rest: a snapshot taken
 * under the lock shows a put all rows that will ever be in it. Two workers that race at the change of generation are
 * either both before it or both after it, or the later one sees the rows of the earlier one. Expired rows of the
 * current generation are overwritten in place. A generation lasts an eighth of the time to live, so that disk space is
 * given back in steps of that size, by DROP TABLE, with nothing deleted row by row.
 *
 * The role that runs the migration owns the schema. Workers may log in as another role, which needs:
 *   GRANT USAGE ON SCHEMA flk TO role;
 *   GRANT SELECT, INSERT, UPDATE ON flk.outcomes TO role;
 *   GRANT SELECT ON flk.generations TO role;
 *   GRANT SELECT, UPDATE ON flk.meta TO role;
 * maintain() runs with the owner's rights. */
#ifndef FLK_WORKER_STORE_POSTGRES_SCHEMA_H
#define FLK_WORKER_STORE_POSTGRES_SCHEMA_H

#include "worker/store/postgres/exchange.h"

enum { FLK_PG_SCHEMA_VERSION = 1 };

/* Advisory locks are pairs of 32-bit numbers; 0x666c6b00 is "flk". */
#define FLK_PG_LOCKS           "1718381312"
#define FLK_PG_LOCK_MIGRATION  "1"
#define FLK_PG_LOCK_GENERATION "2"
#define FLK_PG_LOCK_MAINTAIN   "3"

/* The version in the database, 0 without our schema. Errors: those of the exchange. */
FLK_MUST_CHECK flk_err_t flk_pg_schema_version(flk_pg_exchange_t *exchange, int *version);

/* FLK_OK when the database has our version; else the remedy. Errors: FLK_E_CONFIG, or those of the exchange. */
FLK_MUST_CHECK flk_err_t flk_pg_schema_check(flk_pg_exchange_t *exchange);

/* Brings the schema to our version, in one transaction, one at a time in the whole cluster. Does nothing where it is
 * ours already. *from is the version that was found. Errors: FLK_E_CONFIG when it is newer than ours, and then
 * nothing is touched; those of the exchange. */
FLK_MUST_CHECK flk_err_t flk_pg_schema_migrate(flk_pg_exchange_t *exchange, int *from);

#endif
