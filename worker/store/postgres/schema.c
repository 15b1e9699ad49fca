/* SPDX-License-Identifier: MIT */
#include "worker/store/postgres/schema.h"

#include <stdio.h>
#include <stdlib.h>

enum { MIGRATION_MS = 60000 };

/* How to come from version i to version i + 1. A migration that has been released is never changed: the next one is
 * added behind it. */
static const char *const migrations[FLK_PG_SCHEMA_VERSION] = {
    "CREATE SCHEMA flk;"

    "CREATE TABLE flk.meta (one boolean PRIMARY KEY DEFAULT true CHECK (one), version int NOT NULL,"
    " migrated_at timestamptz NOT NULL, probed_at timestamptz);"
    "INSERT INTO flk.meta (version, migrated_at) VALUES (0, now());"

    "CREATE TABLE flk.generations (generation int PRIMARY KEY, opened_at timestamptz NOT NULL);"
    "INSERT INTO flk.generations VALUES (1, now());"

    "CREATE TABLE flk.outcomes (pcs_id bytea NOT NULL CHECK (octet_length(pcs_id) = 32), generation int NOT NULL,"
    " outcome bytea NOT NULL, expires_at timestamptz NOT NULL, PRIMARY KEY (pcs_id, generation))"
    " PARTITION BY LIST (generation);"
    "CREATE INDEX outcomes_expires_at ON flk.outcomes USING brin (expires_at);" /* finds out cheaply that all is over */
    "CREATE TABLE flk.outcomes_1 PARTITION OF flk.outcomes FOR VALUES IN (1);"

    /* Returns 0 when it did nothing, 1 when it opened a generation, 2 when it dropped one. One step a call. Waits for
     * locks a moment only: puts queue behind it. An empty generation is kept on rather than followed by another empty
     * one. */
    "CREATE FUNCTION flk.maintain(ttl_ms bigint) RETURNS int LANGUAGE plpgsql SECURITY DEFINER"
    " SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms' AS $$\n"
    "DECLARE\n"
    "  newest flk.generations;\n"
    "  oldest flk.generations;\n"
    "  lives boolean;\n"
    "BEGIN\n"
    "  IF NOT pg_try_advisory_xact_lock(" FLK_PG_LOCKS ", " FLK_PG_LOCK_MAINTAIN ") THEN RETURN 0; END IF;\n"
    "  SELECT * INTO newest FROM flk.generations ORDER BY generation DESC LIMIT 1;\n"
    "  IF newest.opened_at + greatest(ttl_ms / 8, 1000) * interval '1 millisecond' <= clock_timestamp() THEN\n"
    "    EXECUTE format('SELECT EXISTS (SELECT FROM flk.outcomes_%s)', newest.generation) INTO lives;\n"
    "    IF NOT lives THEN\n"
    "      UPDATE flk.generations SET opened_at = clock_timestamp() WHERE generation = newest.generation;\n"
    "    ELSE\n"
    "      EXECUTE format('CREATE TABLE flk.outcomes_%s (LIKE flk.outcomes INCLUDING ALL)', newest.generation + 1);\n"
    "      PERFORM pg_advisory_xact_lock(" FLK_PG_LOCKS ", " FLK_PG_LOCK_GENERATION ");\n"
    "      EXECUTE format('ALTER TABLE flk.outcomes ATTACH PARTITION flk.outcomes_%s FOR VALUES IN (%s)',\n"
    "                     newest.generation + 1, newest.generation + 1);\n"
    "      INSERT INTO flk.generations VALUES (newest.generation + 1, clock_timestamp());\n"
    "      RETURN 1;\n"
    "    END IF;\n"
    "  END IF;\n"
    "  SELECT * INTO oldest FROM flk.generations ORDER BY generation LIMIT 1;\n"
    "  IF oldest.generation < newest.generation THEN\n"
    "    EXECUTE format('SELECT EXISTS (SELECT FROM flk.outcomes_%s WHERE expires_at > clock_timestamp())',\n"
    "                   oldest.generation) INTO lives;\n"
    "    IF NOT lives THEN\n"
    "      EXECUTE format('DROP TABLE flk.outcomes_%s', oldest.generation);\n"
    "      DELETE FROM flk.generations WHERE generation = oldest.generation;\n"
    "      RETURN 2;\n"
    "    END IF;\n"
    "  END IF;\n"
    "  RETURN 0;\n"
    "END $$;",
};

static flk_err_t run(flk_pg_exchange_t *x, const char *sql) {
    PGresult *result;
    flk_err_t err = flk_pg_command(x, sql, &result);
    PQclear(result);
    return err;
}

flk_err_t flk_pg_schema_version(flk_pg_exchange_t *x, int *version) {
    PGresult *result;
    *version = 0;
    /* Not to_regclass: its cache may be older than the lock that a migration waited for. */
    flk_err_t err =
        flk_pg_command(x,
                       "SELECT EXISTS (SELECT FROM pg_namespace AS n JOIN pg_class AS c ON c.relnamespace = "
                       "n.oid WHERE n.nspname = 'flk' AND c.relname = 'meta')",
                       &result);
    bool exists = err == FLK_OK && PQntuples(result) == 1 && PQgetvalue(result, 0, 0)[0] == 't';
    PQclear(result);
    if (err != FLK_OK || !exists) {
        return err;
    }
    err = flk_pg_command(x, "SELECT version FROM flk.meta", &result);
    if (err == FLK_OK && PQntuples(result) == 1) {
        *version = atoi(PQgetvalue(result, 0, 0));
    }
    PQclear(result);
    return err;
}

static flk_err_t refuse_newer(flk_pg_exchange_t *x, int version) {
    x->fault = FLK_FAULT_SCHEMA;
    flk_errmsg(
        x->errmsg,
        "schema flk has version %d, newer than this worker's %d: run the worker that migrated it, or a later one",
        version, FLK_PG_SCHEMA_VERSION);
    return FLK_E_CONFIG;
}

flk_err_t flk_pg_schema_check(flk_pg_exchange_t *x) {
    int version;
    flk_err_t err = flk_pg_schema_version(x, &version);
    if (err != FLK_OK || version == FLK_PG_SCHEMA_VERSION) {
        return err;
    }
    if (version > FLK_PG_SCHEMA_VERSION) {
        return refuse_newer(x, version);
    }
    x->fault = FLK_FAULT_SCHEMA;
    flk_errmsg(x->errmsg, "schema flk %s: run flk-worker --migrate, or set FLK_PG_AUTO_MIGRATE=1",
               version == 0 ? "is missing" : "is older than this worker's");
    return FLK_E_CONFIG;
}

static flk_err_t migrate_from(flk_pg_exchange_t *x, int version) {
    flk_err_t err = FLK_OK;
    for (int v = version; err == FLK_OK && v < FLK_PG_SCHEMA_VERSION; v++) {
        err = run(x, migrations[v]);
    }
    if (err == FLK_OK && version < FLK_PG_SCHEMA_VERSION) {
        char sql[96];
        snprintf(sql, sizeof sql, "UPDATE flk.meta SET version = %d, migrated_at = now()", FLK_PG_SCHEMA_VERSION);
        err = run(x, sql);
    }
    return err;
}

flk_err_t flk_pg_schema_migrate(flk_pg_exchange_t *x, int *from) {
    x->deadline_ms = flk_mono_ms() + MIGRATION_MS;
    flk_err_t err = run(x, "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 0");
    err = err != FLK_OK ? err : run(x, "SELECT pg_advisory_xact_lock(" FLK_PG_LOCKS ", " FLK_PG_LOCK_MIGRATION ")");
    err = err != FLK_OK ? err : flk_pg_schema_version(x, from);
    if (err == FLK_OK && *from > FLK_PG_SCHEMA_VERSION) {
        err = refuse_newer(x, *from);
    }
    err = err != FLK_OK ? err : migrate_from(x, *from);
    err = err != FLK_OK ? err : run(x, "COMMIT");
    if (err != FLK_OK && !x->lasting) {
        flk_pg_exchange_t rollback = {.pg = x->pg, .deadline_ms = x->deadline_ms}; /* keeps the first errmsg */
        flk_err_t ignored = run(&rollback, "ROLLBACK");
        (void)ignored; /* the session ends next: that rolls back as well */
    }
    return err;
}
