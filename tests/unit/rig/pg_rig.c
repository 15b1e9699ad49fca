/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/pg_rig.h"

static void pg_rig_find(pg_rig_t *rig) {
    glob_t found;
    ck_assert_msg(glob("/usr/lib/postgresql/*/bin/postgres", 0, NULL, &found) == 0,
                  "PostgreSQL's server is not installed (apt-get install postgresql)");
    snprintf(rig->bin, sizeof rig->bin, "%s", found.gl_pathv[found.gl_pathc - 1]);
    *strrchr(rig->bin, '/') = '\0';
    globfree(&found);
    if (getuid() == 0) {
        const struct passwd *user = getpwnam("postgres");
        ck_assert_msg(user != NULL, "no user postgres to run PostgreSQL as");
        rig->uid = user->pw_uid;
        rig->gid = user->pw_gid;
    }
}

static bool pg_rig_try(const pg_rig_t *rig, const char *sql, char *value, size_t value_bytes) {
    PGconn *pg = PQconnectdb(rig->conn);
    PGresult *result = PQstatus(pg) == CONNECTION_OK ? PQexec(pg, sql) : NULL;
    bool fine = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
    if (fine && value != NULL) {
        snprintf(value, value_bytes, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    }
    if (!fine && PQstatus(pg) == CONNECTION_OK) {
        fprintf(stdout, "%s: %s", sql, PQresultErrorMessage(result));
    }
    PQclear(result);
    PQfinish(pg);
    return fine;
}

void pg_rig_do(const pg_rig_t *rig, const char *sql) {
    ck_assert_msg(pg_rig_try(rig, sql, NULL, 0), "%s", sql);
}

long long pg_rig_number(const pg_rig_t *rig, const char *sql) {
    char value[64];
    ck_assert_msg(pg_rig_try(rig, sql, value, sizeof value), "%s", sql);
    return atoll(value);
}

void pg_rig_start(pg_rig_t *rig) {
    char log_path[96], program[96], port[16];
    snprintf(log_path, sizeof log_path, "%s/log", rig->dir);
    snprintf(program, sizeof program, "%s/postgres", rig->bin);
    snprintf(port, sizeof port, "%u", rig->port);
    char data[96], sockets[112];
    snprintf(data, sizeof data, "%s/data", rig->dir);
    snprintf(sockets, sizeof sockets, "unix_socket_directories=%s", rig->dir);
    const char *argv[] = {program,
                          "-D",
                          data,
                          "-p",
                          port,
                          "-c",
                          "listen_addresses=127.0.0.1",
                          "-c",
                          sockets,
                          "-c",
                          "max_connections=200",
                          "-c",
                          "restart_after_crash=on",
                          NULL};
    rig->pid = rig_start(log_path, rig->uid, rig->gid, argv);
    uint64_t give_up_ms = flk_mono_ms() + RIG_PATIENCE_MS;
    while (!pg_rig_try(rig, "SELECT 1", NULL, 0)) {
        rig_alive(rig->pid, "postgres");
        ck_assert_msg(flk_mono_ms() < give_up_ms, "postgres does not answer; see %s", log_path);
        poll(NULL, 0, 10);
    }
}

void pg_rig_make(pg_rig_t *rig) {
    *rig = (pg_rig_t){.port = rig_free_port()};
    pg_rig_find(rig);
    snprintf(rig->dir, sizeof rig->dir, "/tmp/flk-pg-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(rig->dir));
    if (rig->uid != 0) {
        ck_assert_int_eq(chown(rig->dir, rig->uid, rig->gid), 0);
    }
    snprintf(rig->conn, sizeof rig->conn, "host=127.0.0.1 port=%u dbname=postgres user=postgres", rig->port);
    char log_path[96], program[96], data[96];
    snprintf(log_path, sizeof log_path, "%s/log", rig->dir);
    snprintf(program, sizeof program, "%s/initdb", rig->bin);
    snprintf(data, sizeof data, "%s/data", rig->dir);
    const char *argv[] = {program,    "-D", data,   "-A",         "trust",     "-U",
                          "postgres", "-E", "UTF8", "--locale=C", "--no-sync", NULL};
    rig_run(log_path, rig->uid, rig->gid, argv);
    pg_rig_start(rig);
}

void pg_rig_stop(pg_rig_t *rig, int signo) {
    if (rig->pid != 0) {
        kill(rig->pid, signo);
        (void)rig_reap(rig->pid);
        rig->pid = 0;
    }
}

void pg_rig_signal_all(const pg_rig_t *rig, int signo) {
    char path[64], list[4096];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", rig->pid, rig->pid);
    FILE *children = fopen(path, "r");
    ck_assert_ptr_nonnull(children);
    size_t bytes = fread(list, 1, sizeof list - 1, children);
    fclose(children);
    list[bytes] = '\0';
    kill(rig->pid, signo);
    for (char *at = list, *end; (void)strtol(at, &end, 10), end != at; at = end) {
        kill((pid_t)strtol(at, NULL, 10), signo);
    }
}

void pg_rig_remove(pg_rig_t *rig) {
    pg_rig_stop(rig, SIGQUIT);
    const char *argv[] = {"rm", "-rf", rig->dir, NULL};
    (void)rig_reap(rig_start("/dev/null", 0, 0, argv));
}
