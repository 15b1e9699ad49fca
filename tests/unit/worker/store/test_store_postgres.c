/* SPDX-License-Identifier: MIT */
/* The PostgreSQL store against a real server: the contract, generations, outages, schema. */
#include "tests/unit/rig/store_contract.h"

#include <stdatomic.h>

#include "tests/unit/rig/pg_rig.h"
#include "tests/unit/rig/store_cut.h"
#include "tests/unit/rig/store_probe.h"
#include "worker/store/postgres/schema.h"

enum { TIMEOUT_MS = 500 };

static pg_rig_t rig;

static void make_server(void) {
    pg_rig_make(&rig);
}

static void remove_server(void) {
    pg_rig_remove(&rig);
}

static void setup_store(void) {
    setup();
    probe_setup();
    if (rig.pid == 0) {
        pg_rig_start(&rig);
    }
    pg_rig_do(&rig, "DROP SCHEMA IF EXISTS flk CASCADE");
}

static void teardown_store(void) {
    probe_teardown();
    teardown();
}

static flk_store_options_t pg_options(const char *conn) {
    flk_store_options_t options = options_for("postgres");
    options.pg_conn = conn;
    options.pg_auto_migrate = true;
    options.connect_timeout_ms = 2000;
    options.metrics = registry;
    return options;
}

flk_store_options_t backend_options(int backend) {
    (void)backend;
    return pg_options(rig.conn);
}

static flk_store_t *open_hasty(void) {
    flk_store_options_t options = pg_options(rig.conn);
    options.timeout_ms = TIMEOUT_MS;
    options.connect_timeout_ms = TIMEOUT_MS;
    return open_with(&options);
}

/* The first connection makes the schema, which may take longer than a store timeout. */
static flk_store_t *open_ready(void) {
    flk_store_t *store = open_hasty();
    wait_until(flk_store_health(store, errmsg) == FLK_OK);
    return store;
}

static flk_store_t *open_through(unsigned port) {
    char conn[96];
    snprintf(conn, sizeof conn, "host=127.0.0.1 port=%u dbname=postgres user=postgres", port);
    flk_store_options_t options = pg_options(conn);
    options.timeout_ms = TIMEOUT_MS;
    return open_with(&options);
}

/* ---- the life of an outcome ---- */

/* An outcome is there for its time to live by the server's clock, and is forgotten after it, also while its
 * generation is the current one; then another may be put. */
START_TEST(test_pg_forgets_after_ttl) {
    flk_store_t *store = open_ready();
    check_server_forgets(store);
    flk_store_close(&store);
}
END_TEST

/* Outcomes survive a crash of the server; the store connects again by itself. */
START_TEST(test_pg_restart_keeps_outcomes) {
    flk_store_t *store = open_ready();
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "kept", &item));
    pg_rig_stop(&rig, SIGQUIT);
    ck_unavailable(try_lookup(store, 1), TIMEOUT_MS);
    pg_rig_start(&rig);
    uint64_t began_ms = flk_mono_ms();
    wait_until(try_lookup(store, 1) == FLK_OK);
    ck_assert_uint_le(flk_mono_ms() - began_ms, 5000);
    ck_assert(!put_one(store, 1, "other", &item) && item_is(&item, "kept"));
    flk_store_close(&store);
}
END_TEST

/* ---- generations ---- */

static long long generation(void) {
    return pg_rig_number(&rig, "SELECT max(generation) FROM flk.generations");
}

/* With a time to live of seconds generations open and close by themselves, a living outcome is found in any of them,
 * nothing is deleted row by row, and when all is over no more than the last one is left. */
START_TEST(test_pg_generations_come_and_go) {
    flk_store_options_t options = pg_options(rig.conn);
    options.ttl_ms = 4000;
    flk_store_t *store = open_with(&options);
    flk_store_item_t item;
    uint64_t n = 0, began_ms = flk_mono_ms();
    ck_assert(put_one(store, n, "x", &item));
    while (flk_mono_ms() - began_ms < 3000) {
        ck_assert(put_one(store, ++n, "x", &item));
        ck_assert(lookup_one(store, 0, &item));
        poll(NULL, 0, 5);
    }
    ck_assert_int_ge(generation(), 3);
    for (uint64_t i = 0; i <= n; i++) {
        ck_assert(!put_one(store, i, "late", &item));
    }
    wait_until(pg_rig_number(&rig, "SELECT count(*) FROM flk.generations") == 1);
    ck_assert_int_eq(pg_rig_number(&rig, "SELECT coalesce(sum(n_tup_del), 0) FROM pg_stat_user_tables"
                                         " WHERE relname LIKE 'outcomes%'"),
                     0);
    ck_assert_int_eq(pg_rig_number(&rig, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'flk.outcomes'::regclass"),
                     1);
    flk_store_close(&store);
}
END_TEST

enum { CROSS_BATCH = 64 };

struct crosser {
    pthread_t thread;
    flk_store_t *store;
    pthread_barrier_t *start;
    const char *value;
    atomic_bool *stop;
    flk_err_t err;
    char errmsg[FLK_ERRMSG_BYTES];
    uint64_t rounds;
    flk_store_item_t items[16384]; /* the n-th is of key n */
};

static void *cross(void *arg) {
    struct crosser *crosser = arg;
    flk_store_item_t *batch[CROSS_BATCH];
    pthread_barrier_wait(crosser->start);
    size_t n = 0;
    while (n + CROSS_BATCH <= FLK_COUNT_OF(crosser->items) && !atomic_load(crosser->stop) && crosser->err == FLK_OK) {
        for (size_t i = 0; i < CROSS_BATCH; i++) {
            crosser->items[n + i] = item_of(n + i, crosser->value);
            batch[i] = &crosser->items[n + i];
        }
        crosser->err = flk_store_put(crosser->store, batch, CROSS_BATCH, crosser->errmsg);
        crosser->rounds = n += CROSS_BATCH;
    }
    return NULL;
}

/* While generations change all the time, workers that put the same keys at once agree on the first write of each,
 * though one may be before the change and the other after it. */
START_TEST(test_pg_race_at_the_change) {
    enum { CROSSERS = 4 };
    static struct crosser crossers[CROSSERS];
    static const char *const values[] = {"a", "b", "c", "d"};
    atomic_bool stop = false;
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, CROSSERS);
    for (int i = 0; i < CROSSERS; i++) {
        crossers[i].store = open_backend(0);
        crossers[i].value = values[i];
        crossers[i].start = &start;
        crossers[i].stop = &stop;
        crossers[i].rounds = 0;
        crossers[i].err = FLK_OK;
        ck_assert_int_eq(flk_store_health(crossers[i].store, errmsg), FLK_OK);
    }
    for (int i = 0; i < CROSSERS; i++) {
        ck_assert_int_eq(pthread_create(&crossers[i].thread, NULL, cross, &crossers[i]), 0);
    }
    PGconn *pg = PQconnectdb(rig.conn);
    int changes = 0;
    for (uint64_t until_ms = flk_mono_ms() + 4000; flk_mono_ms() < until_ms && changes < 100;) {
        PQclear(PQexec(pg, "UPDATE flk.generations SET opened_at = '-infinity' WHERE generation ="
                           " (SELECT max(generation) FROM flk.generations)"));
        PGresult *result = PQexec(pg, "SELECT flk.maintain(60000)");
        changes += PQresultStatus(result) == PGRES_TUPLES_OK && PQgetvalue(result, 0, 0)[0] == '1';
        PQclear(result);
    }
    PQfinish(pg);
    atomic_store(&stop, true);
    uint64_t rounds = UINT64_MAX;
    for (int i = 0; i < CROSSERS; i++) {
        pthread_join(crossers[i].thread, NULL);
    }
    for (int i = 0; i < CROSSERS; i++) {
        flk_store_close(&crossers[i].store);
        ck_assert_msg(crossers[i].err == FLK_OK, "%s", crossers[i].errmsg);
        rounds = crossers[i].rounds < rounds ? crossers[i].rounds : rounds;
    }
    pthread_barrier_destroy(&start);
    printf("%llu keys, %d changes of generation\n", (unsigned long long)rounds, changes);
    ck_assert_int_ge(changes, 20);
    ck_assert_uint_ge(rounds, 100);
    for (uint64_t n = 0; n < rounds; n++) {
        int firsts = 0;
        for (int i = 0; i < CROSSERS; i++) {
            firsts += !crossers[i].items[n].found;
            ck_assert_mem_eq(crossers[i].items[n].value, crossers[0].items[n].value, 1);
        }
        ck_assert_int_eq(firsts, 1);
    }
    ck_assert_int_eq(pg_rig_number(&rig, "SELECT count(*) - count(DISTINCT pcs_id) FROM flk.outcomes"), 0);
}
END_TEST

/* Batches are answered by index, however large the table was when their plans were made. */
START_TEST(test_pg_plans_use_the_index) {
    flk_store_t *store = open_ready();
    flk_store_item_t item;
    for (uint64_t n = 0; n < 20; n++) {
        ck_assert(put_one(store, n, "x", &item));
    }
    pg_rig_do(&rig, "INSERT INTO flk.outcomes SELECT sha256(n::text::bytea), 1, 'x', now() + interval '1 h'"
                    " FROM generate_series(1, 200000) AS n");
    uint64_t began_ns = flk_mono_ns();
    for (uint64_t n = 100; n < 200; n++) {
        ck_assert(put_one(store, n, "x", &item));
        ck_assert(lookup_one(store, n, &item));
    }
    double each_ms = (double)(flk_mono_ns() - began_ns) / 1e6 / 200;
    ck_assert_msg(each_ms < 20, "%.1f ms each", each_ms);
    flk_store_close(&store); /* a session tells its figures at its end at the latest */
    poll(NULL, 0, 200);
    /* Two made its indexes when it was empty; maintenance may look for the first row. */
    ck_assert_int_le(pg_rig_number(&rig, "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'outcomes_1'"), 10);
}
END_TEST

/* ---- outages ---- */

/* A store may be opened while its server is away: it answers UNAVAILABLE in time, and works once the server is
 * there. */
START_TEST(test_pg_starts_without_a_server) {
    pg_rig_stop(&rig, SIGINT);
    flk_store_t *store = open_hasty();
    ck_unavailable(try_put(store, 1, "x"), TIMEOUT_MS);
    ck_unavailable(flk_store_health(store, errmsg), TIMEOUT_MS);
    ck_assert_ptr_nonnull(strstr(errmsg, "127.0.0.1"));
    pg_rig_start(&rig);
    wait_until(flk_store_health(store, errmsg) == FLK_OK);
    ck_assert_int_eq(try_put(store, 1, "x"), FLK_OK);
    flk_store_close(&store);
    ck_assert_uint_eq(figure("flk_store_connections"), 0);
}
END_TEST

/* A server that stands still: UNAVAILABLE within the store timeout each time, few attempts to connect, and back by
 * itself. */
START_TEST(test_pg_server_stands_still) {
    flk_store_t *store = open_ready();
    ck_assert_int_eq(try_put(store, 1, "x"), FLK_OK);
    pg_rig_signal_all(&rig, SIGSTOP);
    uint64_t until_ms = flk_mono_ms() + 4000, calls = 0;
    while (flk_mono_ms() < until_ms) {
        ck_unavailable(try_lookup(store, 1), TIMEOUT_MS);
        calls++;
        poll(NULL, 0, 20);
    }
    ck_assert_uint_ge(calls, 20);
    ck_assert_uint_le(figure("flk_store_dials_total{result=\"failed\"}"), 10);
    ck_assert_uint_ge(figure("flk_store_errors_total{kind=\"timeout\"}"), 1);
    pg_rig_signal_all(&rig, SIGCONT);
    uint64_t began_ms = flk_mono_ms();
    wait_until(try_lookup(store, 1) == FLK_OK);
    ck_assert_uint_le(flk_mono_ms() - began_ms, 5000);
    flk_store_item_t item;
    ck_assert(lookup_one(store, 1, &item) && item_is(&item, "x"));
    flk_store_close(&store);
}
END_TEST

/* A batch that waits for another session's lock ends within the store timeout, and its connection stays. */
START_TEST(test_pg_waits_for_a_lock) {
    flk_store_t *store = open_ready();
    PGconn *pg = PQconnectdb(rig.conn);
    PQclear(PQexec(pg, "BEGIN; LOCK TABLE flk.outcomes IN ACCESS EXCLUSIVE MODE"));
    uint64_t dials = figure("flk_store_dials_total{result=\"ok\"}");
    flk_err_t err = try_put(store, 1, "x");
    ck_assert_int_eq(err, FLK_E_UNAVAILABLE);
    ck_assert_uint_eq(figure("flk_store_errors_total{kind=\"timeout\"}"), 1);
    PQclear(PQexec(pg, "ROLLBACK"));
    PQfinish(pg);
    wait_until(try_put(store, 1, "x") == FLK_OK);
    ck_assert_uint_le(figure("flk_store_dials_total{result=\"ok\"}"), dials + 1);
    flk_store_close(&store);
}
END_TEST

/* A backend that is terminated in the middle of a transaction: the outcome is unknown, and asking again finds one. */
START_TEST(test_pg_backend_terminated) {
    flk_store_t *store = open_ready();
    flk_store_item_t item;
    PGconn *pg = PQconnectdb(rig.conn);
    for (uint64_t n = 0; n < 3; n++) {
        PQclear(PQexec(pg, "BEGIN; LOCK TABLE flk.outcomes IN EXCLUSIVE MODE"));
        pid_t killer = fork();
        if (killer == 0) {
            PGconn *admin = PQconnectdb(rig.conn);
            for (;;) {
                PGresult *result = PQexec(admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
                                                 " application_name = 'flk-worker' AND wait_event_type = 'Lock'");
                if (PQntuples(result) > 0) {
                    _exit(0);
                }
                PQclear(result);
            }
        }
        flk_err_t err = try_put(store, n, "first");
        ck_assert_int_eq(err, FLK_E_UNAVAILABLE);
        ck_assert_int_eq(rig_reap(killer), 0);
        PQclear(PQexec(pg, "ROLLBACK"));
        wait_until(try_put(store, n, "second") == FLK_OK);
        ck_assert(lookup_one(store, n, &item));
    }
    PQfinish(pg);
    flk_store_close(&store);
}
END_TEST

static long long sessions(void) {
    return pg_rig_number(&rig, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'flk-worker'");
}

static void set_server(const char *sql) {
    pg_rig_do(&rig, sql);
    pg_rig_do(&rig, "SELECT pg_reload_conf()");
}

/* While commits wait for a standby that is not there, puts are UNAVAILABLE, and none leaves a session behind at the
 * server. An outcome that it committed by itself is found from then on. Once nobody waits for a standby, puts work. */
START_TEST(test_pg_commits_wait_for_a_standby) {
    flk_store_t *store = open_ready();
    flk_store_item_t item;
    set_server("ALTER SYSTEM SET synchronous_standby_names = '*'");
    uint64_t until_ms = flk_mono_ms() + 8000, n = 0;
    long long most = 0;
    while (flk_mono_ms() < until_ms) {
        if (try_put(store, ++n, "alone") == FLK_OK) {
            ck_assert_uint_lt(n, 100); /* the setting arrives */
        }
        long long now = sessions();
        most = now > most ? now : most;
        poll(NULL, 0, 20);
    }
    ck_assert_int_le(most, 3); /* ours, one that ends, the janitor's */
    ck_assert_uint_ge(figure("flk_store_errors_total{kind=\"timeout\"}"), 3);
    uint64_t found = 0;
    for (uint64_t i = 1; i <= n; i++) {
        wait_until(try_lookup(store, i) == FLK_OK);
        found += lookup_one(store, i, &item);
    }
    ck_assert_uint_ge(found, 3);
    set_server("ALTER SYSTEM RESET synchronous_standby_names");
    wait_until(try_put(store, n + 1, "x") == FLK_OK);
    wait_until(sessions() <= 2);
    flk_store_close(&store);
}
END_TEST

/* A session that the server ended while it was idle, by an administrator or by a timeout, costs no call: each finds
 * a new one, however often that happens. */
START_TEST(test_pg_idle_session_ended) {
    flk_store_t *store = open_ready();
    for (uint64_t n = 0; n < 9; n++) {
        if (n == 6) {
            set_server("ALTER SYSTEM SET idle_session_timeout = 200"); /* counts from a session's next statement */
        }
        ck_assert_msg(try_put(store, n, "x") == FLK_OK, "%llu: %s", (unsigned long long)n, errmsg);
        if (n < 6) {
            pg_rig_do(&rig, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            " WHERE application_name = 'flk-worker'");
        }
        if (n % 2 == 0 || n >= 6) {
            wait_until(sessions() == 0); /* else the close and the use may cross */
        }
        flk_err_t err = n % 3 == 0 ? try_lookup(store, n) : flk_store_health(store, errmsg);
        ck_assert_msg(err == FLK_OK, "%llu: %s", (unsigned long long)n, errmsg);
    }
    set_server("ALTER SYSTEM RESET idle_session_timeout");
    ck_assert_uint_eq(figure("flk_store_errors_total{kind=\"unavailable\"}"), 0);
    flk_store_close(&store);
}
END_TEST

/* A server that runs out of disk refuses puts with its reason; with space again it takes them, on the same
 * connection. */
START_TEST(test_pg_disk_full) {
    flk_store_t *store = open_ready();
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "x", &item));
    pg_rig_do(
        &rig,
        "CREATE FUNCTION flk.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';"
        " END $$; CREATE TRIGGER full_disk BEFORE INSERT ON flk.outcomes_1 FOR EACH ROW EXECUTE FUNCTION flk.full()");
    ck_unavailable(try_put(store, 2, "x"), TIMEOUT_MS);
    ck_assert_ptr_nonnull(strstr(errmsg, "No space left"));
    ck_assert_uint_eq(figure("flk_store_errors_total{kind=\"no_space\"}"), 1);
    ck_assert(lookup_one(store, 1, &item) && !lookup_one(store, 2, &item));
    pg_rig_do(&rig, "DROP TRIGGER full_disk ON flk.outcomes_1");
    ck_assert_int_eq(try_put(store, 2, "x"), FLK_OK);
    ck_assert_uint_eq(figure("flk_store_dials_total{result=\"ok\"}"), 1);
    flk_store_close(&store);
}
END_TEST

/* A server that turns read-only is not written to nor read from; when it takes writes again, so do we. */
START_TEST(test_pg_read_only) {
    flk_store_t *store = open_ready();
    pg_rig_do(&rig, "ALTER SYSTEM SET default_transaction_read_only = on");
    pg_rig_do(&rig, "SELECT pg_reload_conf()");
    wait_until(try_put(store, 1, "x") == FLK_E_UNAVAILABLE);
    ck_assert_uint_ge(figure("flk_store_errors_total{kind=\"read_only\"}"), 1);
    wait_until(logged("store_connect_failed", "read-only", NULL) > 0);
    ck_unavailable(flk_store_health(store, errmsg), TIMEOUT_MS);
    pg_rig_do(&rig, "ALTER SYSTEM RESET default_transaction_read_only");
    pg_rig_do(&rig, "SELECT pg_reload_conf()");
    wait_until(try_put(store, 1, "x") == FLK_OK);
    flk_store_close(&store);
}
END_TEST

/* A wrong password is UNAVAILABLE with the reason; no password is logged or shown. */
START_TEST(test_pg_wrong_password) {
    char conn[256], hba[128];
    pg_rig_do(&rig, "DROP ROLE IF EXISTS flk_other");
    pg_rig_do(&rig, "CREATE ROLE flk_other LOGIN SUPERUSER PASSWORD 'right-secret'");
    snprintf(hba, sizeof hba, "%s/data/pg_hba.conf", rig.dir);
    FILE *file = fopen(hba, "w");
    ck_assert_ptr_nonnull(file);
    fputs("host all flk_other 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n", file);
    fclose(file);
    pg_rig_do(&rig, "SELECT pg_reload_conf()");
    snprintf(conn, sizeof conn, "host=127.0.0.1 port=%u dbname=postgres user=flk_other password=wrong-secret",
             rig.port);
    flk_store_options_t options = pg_options(conn);
    options.timeout_ms = TIMEOUT_MS;
    flk_store_t *store = open_with(&options);
    wait_until(try_lookup(store, 1) == FLK_E_UNAVAILABLE && strstr(errmsg, "authentication failed") != NULL);
    ck_assert_ptr_null(strstr(errmsg, "secret"));
    ck_assert_uint_ge(figure("flk_store_errors_total{kind=\"auth\"}"), 1);
    flk_store_close(&store);
    memcpy(strstr(conn, "wrong"), "right", 5);
    store = open_with(&options);
    wait_until(try_put(store, 1, "x") == FLK_OK);
    flk_store_close(&store);
    ck_assert_uint_eq(logged("secret", NULL, NULL), 0);
}
END_TEST

/* Wherever the connection breaks in a put: store_cut.h has the promise. */
START_TEST(test_pg_cut_anywhere) {
    flk_store_t *direct = open_ready();
    check_cut_anywhere("pg", direct, open_through, rig.port, 7, _i == 0 ? CUT_REQUEST : CUT_REPLY);
    flk_store_close(&direct);
}
END_TEST

/* POSTGRES_CONN that is empty or cannot be read stops the start with one line that does not quote it. */
START_TEST(test_pg_refuses_bad_settings) {
    static const char *const bad[] = {"", "password=hidden host", "postgresql://u:hidden@h/?nonsense=1"};
    for (size_t i = 0; i < FLK_COUNT_OF(bad); i++) {
        flk_store_options_t options = pg_options(bad[i]);
        flk_store_t *store;
        ck_assert_int_eq(flk_store_open(&options, &store, errmsg), FLK_E_CONFIG);
        ck_assert_ptr_nonnull(strstr(errmsg, "POSTGRES_CONN"));
        ck_assert_ptr_null(strstr(errmsg, "hidden"));
    }
}
END_TEST

/* ---- schema ---- */

static flk_err_t migrate(int *from) {
    flk_pg_exchange_t x = {.pg = PQconnectdb(rig.conn), .deadline_ms = flk_mono_ms() + 30000, .errmsg = errmsg};
    ck_assert_int_eq(PQsetnonblocking(x.pg, 1), 0);
    flk_err_t err = flk_pg_schema_migrate(&x, from);
    PQfinish(x.pg);
    return err;
}

/* Without a schema the store tells the remedy; after the migration, which may be done again, it works without having
 * been opened anew. */
START_TEST(test_pg_schema_missing) {
    flk_store_options_t options = pg_options(rig.conn);
    options.pg_auto_migrate = false;
    options.timeout_ms = TIMEOUT_MS;
    flk_store_t *store = open_with(&options);
    wait_until(try_lookup(store, 1) == FLK_E_UNAVAILABLE && strstr(errmsg, "flk-worker --migrate") != NULL);
    ck_assert_uint_ge(figure("flk_store_errors_total{kind=\"schema\"}"), 1);
    int from;
    ck_assert_msg(migrate(&from) == FLK_OK, "%s", errmsg);
    ck_assert_int_eq(from, 0);
    wait_until(try_put(store, 1, "x") == FLK_OK);
    ck_assert_int_eq(migrate(&from), FLK_OK);
    ck_assert_int_eq(from, FLK_PG_SCHEMA_VERSION);
    flk_store_item_t item;
    ck_assert(lookup_one(store, 1, &item));
    flk_store_close(&store);
}
END_TEST

/* A schema that is newer than we are is refused, by the store and by the migration, and left as it is. */
START_TEST(test_pg_schema_newer) {
    int from;
    ck_assert_int_eq(migrate(&from), FLK_OK);
    pg_rig_do(&rig, "UPDATE flk.meta SET version = 99");
    ck_assert_int_eq(migrate(&from), FLK_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(errmsg, "99"));
    flk_store_t *store = open_hasty();
    wait_until(try_put(store, 1, "x") == FLK_E_UNAVAILABLE && strstr(errmsg, "99") != NULL);
    flk_store_close(&store);
    ck_assert_int_eq(pg_rig_number(&rig, "SELECT version FROM flk.meta"), 99);
}
END_TEST

/* A schema that is dropped under a store is told as such. */
START_TEST(test_pg_schema_dropped) {
    flk_store_options_t options = pg_options(rig.conn);
    options.pg_auto_migrate = false;
    options.timeout_ms = TIMEOUT_MS;
    int from;
    ck_assert_int_eq(migrate(&from), FLK_OK);
    flk_store_t *store = open_with(&options);
    wait_until(try_put(store, 1, "x") == FLK_OK);
    pg_rig_do(&rig, "DROP SCHEMA flk CASCADE");
    ck_unavailable(try_put(store, 2, "x"), TIMEOUT_MS);
    ck_assert_uint_ge(figure("flk_store_errors_total{kind=\"schema\"}"), 1);
    flk_store_close(&store);
}
END_TEST

/* The effect of a pooler without sessions on prepared statements is told with the remedy. */
START_TEST(test_pg_pooler_advice) {
    static const char *const sqls[] = {"PREPARE twice AS SELECT 1; PREPARE twice AS SELECT 1",
                                       "EXECUTE never_prepared"};
    flk_pg_exchange_t x = {.pg = PQconnectdb(rig.conn), .deadline_ms = flk_mono_ms() + 30000, .errmsg = errmsg};
    ck_assert_int_eq(PQsetnonblocking(x.pg, 1), 0);
    for (size_t i = 0; i < FLK_COUNT_OF(sqls); i++) {
        PGresult *result;
        ck_assert_int_eq(flk_pg_command(&x, sqls[i], &result), FLK_E_UNAVAILABLE);
        ck_assert_msg(strstr(errmsg, "pool_mode=session") != NULL, "%s", errmsg);
    }
    PQfinish(x.pg);
}
END_TEST

static void *migrate_main(void *arg) {
    int from;
    flk_pg_exchange_t x = {.pg = PQconnectdb(rig.conn), .deadline_ms = flk_mono_ms() + 30000};
    ck_assert_int_eq(PQsetnonblocking(x.pg, 1), 0);
    *(flk_err_t *)arg = flk_pg_schema_migrate(&x, &from);
    PQfinish(x.pg);
    return NULL;
}

/* Workers that all migrate at their start do it once. */
START_TEST(test_pg_migrations_at_once) {
    pthread_t threads[8];
    flk_err_t errs[8];
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, migrate_main, &errs[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(errs[i], FLK_OK);
    }
    ck_assert_int_eq(pg_rig_number(&rig, "SELECT version FROM flk.meta"), FLK_PG_SCHEMA_VERSION);
}
END_TEST

/* A role with the rights that postgres/schema.h names is enough for a worker, and for its generations. */
START_TEST(test_pg_plain_role) {
    char conn[160];
    int from;
    ck_assert_int_eq(migrate(&from), FLK_OK);
    pg_rig_do(&rig, "DROP ROLE IF EXISTS flk_plain");
    pg_rig_do(
        &rig,
        "CREATE ROLE flk_plain LOGIN; GRANT USAGE ON SCHEMA flk TO flk_plain;"
        " GRANT SELECT, INSERT, UPDATE ON flk.outcomes TO flk_plain; GRANT SELECT ON flk.generations TO flk_plain;"
        " GRANT SELECT, UPDATE ON flk.meta TO flk_plain");
    snprintf(conn, sizeof conn, "postgresql://flk_plain@127.0.0.1:%u/postgres", rig.port);
    flk_store_options_t options = pg_options(conn);
    options.ttl_ms = 8000;
    flk_store_t *store = open_with(&options);
    flk_store_item_t item;
    uint64_t n = 0;
    wait_until(flk_store_health(store, errmsg) == FLK_OK);
    wait_until(put_one(store, n++, "x", &item) && generation() >= 3);
    ck_assert(lookup_one(store, 0, &item));
    flk_store_close(&store);
    pg_rig_do(&rig, "DROP SCHEMA flk CASCADE; DROP ROLE flk_plain");
}
END_TEST

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    Suite *suite = suite_create("store_postgres");
    TCase *tcase = tcase_create("postgres");
    tcase_add_unchecked_fixture(tcase, make_server, remove_server);
    tcase_add_checked_fixture(tcase, setup_store, teardown_store);
    tcase_set_timeout(tcase, 600);
    add_store_contract(tcase, 1);
    const TTest *const cases[] = {
        test_pg_forgets_after_ttl,
        test_pg_restart_keeps_outcomes,
        test_pg_generations_come_and_go,
        test_pg_race_at_the_change,
        test_pg_plans_use_the_index,
        test_pg_starts_without_a_server,
        test_pg_server_stands_still,
        test_pg_waits_for_a_lock,
        test_pg_backend_terminated,
        test_pg_commits_wait_for_a_standby,
        test_pg_idle_session_ended,
        test_pg_disk_full,
        test_pg_read_only,
        test_pg_wrong_password,
        test_pg_refuses_bad_settings,
        test_pg_schema_missing,
        test_pg_schema_newer,
        test_pg_schema_dropped,
        test_pg_pooler_advice,
        test_pg_migrations_at_once,
        test_pg_plain_role,
    };
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        tcase_add_test(tcase, cases[i]);
    }
    tcase_add_loop_test(tcase, test_pg_cut_anywhere, 0, 2);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK); /* the server is made once, and is this process's child */
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
