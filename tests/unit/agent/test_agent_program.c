/* SPDX-License-Identifier: MIT */
/* The program itself, as people run it: compute, submit, drain and status against scripted doors, killed and started
 * again. */
#include "common/wal/read.h"
#include "tests/unit/rig/agent_doors.h"
#include "tests/unit/rig/agent_parts.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define DATA FLK_TEST_DATA "/earthquakes.csv"

/* ---- running flk-agent ---- */

typedef struct agent {
    pid_t pid;
    int in, out, err; /* our ends of its pipes; in is -1 once closed */
    int status;       /* exit status; 128 + signal */
    char out_text[1 << 20], err_text[1 << 14];
} agent_t;

static agent_t agent;
static char data_dir[64];
static const char *endpoint = "http://127.0.0.1:9/v1/pcs/submit";

static const char *program(void) {
    static char path[4096];
    ssize_t bytes = readlink("/proc/self/exe", path, sizeof path - 1);
    ck_assert_int_gt(bytes, 0);
    path[bytes] = '\0';
    for (int i = 0; i < 2; i++) {
        *strrchr(path, '/') = '\0';
    }
    strcat(path, "/bin/flk-agent");
    return path;
}

/* Starts it with arguments separated by single spaces. */
static void start(const char *arguments) {
    static char line[4096];
    char *argv[64] = {(char *)"flk-agent"};
    int argc = 1, in[2], out[2], err[2];
    snprintf(line, sizeof line, "%s", arguments);
    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    ck_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
    const char *path = program();
    agent.pid = fork();
    ck_assert_int_ge(agent.pid, 0);
    if (agent.pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(err[1], 2);
        setenv("FLK_DATA_DIR", data_dir, 1);
        setenv("ENDPOINT", endpoint, 1);
        execv(path, argv);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    close(err[1]);
    agent.in = in[1];
    agent.out = out[0];
    agent.err = err[0];
}

static void close_input(void) {
    if (agent.in >= 0) {
        close(agent.in);
        agent.in = -1;
    }
}

static void read_text(int fd, char *text, size_t text_bytes) {
    size_t used = 0;
    ssize_t got;
    while ((got = read(fd, text + used, text_bytes - 1 - used)) > 0) {
        used += (size_t)got;
    }
    text[used] = '\0';
    close(fd);
}

/* Waits for its end. Its output fits a pipe, or is read here. */
static int finish(void) {
    int status;
    close_input();
    read_text(agent.out, agent.out_text, sizeof agent.out_text);
    read_text(agent.err, agent.err_text, sizeof agent.err_text);
    ck_assert_int_eq(waitpid(agent.pid, &status, 0), agent.pid);
    agent.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return agent.status;
}

static int run(const char *arguments) {
    start(arguments);
    return finish();
}

static void check_run(const char *arguments, int status) {
    ck_assert_msg(run(arguments) == status, "flk-agent %s: status %d\n%s", arguments, agent.status, agent.err_text);
}

static size_t lines_of(const char *text) {
    size_t lines = 0;
    for (; *text != '\0'; text++) {
        lines += *text == '\n';
    }
    return lines;
}

/* One line on stderr that begins with the program's name and holds `words`. */
static void check_line(const char *words) {
    ck_assert_msg(strncmp(agent.err_text, "flk-agent: ", 11) == 0 && lines_of(agent.err_text) == 1 &&
                      strstr(agent.err_text, words) != NULL,
                  "%s", agent.err_text);
}

static void check_said(const char *words) {
    ck_assert_msg(strstr(agent.err_text, words) != NULL, "%s", agent.err_text);
}

static json_int_t status_of(const char *member) {
    run("status --json");
    json_t *status = json_loads(agent.out_text, 0, NULL);
    ck_assert_msg(json_is_integer(json_object_get(status, member)), "%s", agent.out_text);
    json_int_t value = json_integer_value(json_object_get(status, member));
    json_decref(status);
    return value;
}

static void check_status(json_int_t pending, json_int_t dead) {
    ck_assert_int_eq(status_of("pending"), pending);
    ck_assert_int_eq(status_of("dead"), dead);
}

/* ---- doors ---- */

static door_t door;

static void open_door(int kind, const step_t *script, size_t script_len) {
    if (kind == 0) {
        door_http_open(&door, script, script_len);
    } else {
        door_zmq_open(&door, NULL, script, script_len);
    }
    endpoint = door.endpoint;
}

static size_t door_seen(void) {
    pthread_mutex_lock(&door.lock);
    size_t seen = door.seen;
    pthread_mutex_unlock(&door.lock);
    return seen;
}

static void wait_for_seen(size_t count) {
    uint64_t deadline_ms = flk_mono_ms() + 20000;
    while (door_seen() < count) {
        ck_assert_msg(flk_mono_ms() < deadline_ms, "the door saw %zu of %zu", door_seen(), count);
        usleep(2000);
    }
}

static void setup(void) {
    agent_temp_dir(data_dir);
    endpoint = "http://127.0.0.1:9/v1/pcs/submit";
}

static void teardown(void) {
    agent_remove_dir(data_dir);
}

/* The ids that compute prints for the same arguments. Caller frees with json_decref. */
static json_t *computed_ids(const char *arguments) {
    char line[512];
    snprintf(line, sizeof line, "compute %s", arguments);
    check_run(line, 0);
    json_t *ids = json_array();
    for (char *at = strtok(agent.out_text, "\n"); at != NULL; at = strtok(NULL, "\n")) {
        json_t *pcs = json_loads(at, 0, NULL);
        json_array_append(ids, json_object_get(pcs, "pcs_id"));
        json_decref(pcs);
    }
    return ids;
}

/* How often the door saw an id. */
static size_t seen_times(const char *id) {
    size_t times = 0;
    for (size_t i = 0; i < door.seen; i++) {
        times += strcmp(door.log[i].pcs_id, id) == 0;
    }
    return times;
}

/* The door saw that PCS with that number of the outbox, at its first attempt. */
static void check_logged(const char *id, uint64_t outbox_seq) {
    size_t i = 0;
    while (strcmp(door.log[i].pcs_id, id) != 0) {
        i++;
        ck_assert_uint_lt(i, door.seen);
    }
    ck_assert_uint_eq(door.log[i].outbox_seq, outbox_seq);
    ck_assert_uint_eq(door.log[i].attempt, 1);
}

#define SLIDING "--window 6h --slide 1h --columns longitude,latitude,depth_km " DATA

/* ---- delivery ---- */

/* Everything that compute prints is sent once, numbered as in the outbox, and answered; nothing stays. */
START_TEST(test_program_submit) {
    json_t *ids = computed_ids(SLIDING);
    ck_assert_uint_ge(json_array_size(ids), 100);
    open_door(_i, NULL, 0);
    char line[512], results[128];
    snprintf(results, sizeof results, "%s/results", data_dir);
    snprintf(line, sizeof line, "submit --results %s %s", results, SLIDING);
    check_run(line, 0);
    door_close(&door);
    check_line("164 PCS answered: 164 accepted, 0 escalated, 0 duplicates");
    ck_assert_uint_eq(door.seen, json_array_size(ids));
    size_t i;
    json_t *id;
    json_array_foreach(ids, i, id) {
        ck_assert_uint_eq(seen_times(json_string_value(id)), 1);
    }
    json_error_t fault;
    FILE *file = fopen(results, "r");
    for (i = 0; i < door.seen; i++) {
        json_t *result = json_loadf(file, JSON_DISABLE_EOF_CHECK, &fault);
        ck_assert_int_eq(json_integer_value(json_object_get(result, "status")), 200);
        ck_assert(json_is_null(json_object_get(result, "dead_letter")));
        check_logged(json_string_value(json_object_get(result, "pcs_id")),
                     (uint64_t)json_integer_value(json_object_get(result, "outbox_seq")));
        json_decref(result);
    }
    fclose(file);
    json_decref(ids);
    check_status(0, 0);
}
END_TEST

/* A refused PCS becomes a dead letter with its reason; the rest is delivered; --dead-letters sends it again. */
START_TEST(test_program_dead_letter) {
    static const step_t script[] = {STEP_ACCEPT, STEP_REFUSE, STEP_ESCALATE};
    open_door(_i, script, 3);
    check_run("submit --json --window 400 " DATA, 3);
    json_t *summary = json_loads(agent.out_text, 0, NULL);
    ck_assert_int_eq(json_integer_value(json_object_get(summary, "answered")), 4);
    ck_assert_int_eq(json_integer_value(json_object_get(summary, "escalated")), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(summary, "dead")), 1);
    json_decref(summary);
    check_status(0, 1);
    run("status");
    ck_assert_msg(strstr(agent.out_text, _i == 0 ? "1  HTTP 400 D_hat" : "1  VERDICT 400 D_hat") != NULL, "%s",
                  agent.out_text);
    door_close(&door);

    open_door(_i, script + 1, 1); /* refused again: it stays */
    check_run("drain --dead-letters", 3);
    check_status(0, 1);
    door_close(&door);

    open_door(_i, NULL, 0);
    check_run("drain --dead-letters", 0);
    door_close(&door);
    ck_assert_uint_eq(door.seen, 1);
    ck_assert_uint_eq(door.log[0].attempt, 2);
    check_status(0, 0);
}
END_TEST

/* Killed with kill -9 in the middle: each PCS at the door had been written to the outbox, and drain delivers the
 * rest. */
START_TEST(test_program_killed) {
    static step_t script[400];
    for (size_t i = 0; i < FLK_COUNT_OF(script); i++) {
        script[i] = i % 3 == 2 ? STEP_SILENT : STEP_ACCEPT;
    }
    json_t *ids = computed_ids(SLIDING);
    open_door(_i, script, FLK_COUNT_OF(script));
    start("submit " SLIDING);
    wait_for_seen(6);
    kill(agent.pid, SIGKILL);
    ck_assert_int_eq(finish(), 128 + SIGKILL);
    door_close(&door);
    size_t unanswered = 0;
    for (size_t i = 0; i < door.seen; i++) {
        unanswered += door.log[i].step == STEP_SILENT;
    }

    json_int_t pending = status_of("pending");
    ck_assert_int_ge(pending, (json_int_t)unanswered);
    open_door(_i, NULL, 0);
    check_run("drain", 0);
    ck_assert_uint_eq(door_seen(), (size_t)pending);
    check_status(0, 0);
    check_run("submit " SLIDING, 0);
    door_close(&door);
    size_t i;
    json_t *id;
    json_array_foreach(ids, i, id) {
        ck_assert_uint_ge(seen_times(json_string_value(id)), 1);
    }
    json_decref(ids);
}
END_TEST

typedef struct record_list {
    size_t len;
    char text[512][2048];
} record_list_t;

static bool keep_text(void *arg, const flk_wal_item_t *item) {
    record_list_t *list = arg;
    if (item->type == FLK_WAL_ITEM_RECORD) {
        ck_assert_uint_eq(item->record.lsn, list->len + 1);
        snprintf(list->text[list->len++], sizeof list->text[0], "%.*s", (int)item->record.body_bytes,
                 (const char *)item->record.body);
    }
    return true;
}

/* A PCS that reaches the door is in the outbox already, under the number that it carries. */
START_TEST(test_program_outbox_before_sending) {
    static step_t silent[400];
    static record_list_t records;
    char dir[128], errmsg[FLK_ERRMSG_BYTES];
    for (size_t i = 0; i < FLK_COUNT_OF(silent); i++) {
        silent[i] = STEP_SILENT;
    }
    open_door(_i, silent, FLK_COUNT_OF(silent));
    start("submit --parallel 8 " SLIDING);
    wait_for_seen(8);
    kill(agent.pid, SIGKILL);
    finish();
    door_close(&door);
    snprintf(dir, sizeof dir, "%s/outbox", data_dir);
    records.len = 0;
    ck_assert_int_eq(flk_wal_read(dir, keep_text, &records, errmsg), FLK_OK);
    for (size_t i = 0; i < door.seen; i++) {
        uint64_t seq = door.log[i].outbox_seq;
        ck_assert_uint_le(seq, records.len);
        ck_assert_ptr_nonnull(strstr(records.text[seq - 1], door.log[i].pcs_id));
    }
}
END_TEST

/* SIGTERM stops at once: a PCS without an answer stays pending, the exit status and a line say so, a later run delivers
 * it. */
START_TEST(test_program_stopped) {
    static step_t silent[64];
    for (size_t i = 0; i < FLK_COUNT_OF(silent); i++) {
        silent[i] = STEP_SILENT;
    }
    open_door(_i, silent, FLK_COUNT_OF(silent));
    start("submit --window 400 " DATA);
    wait_for_seen(5);
    uint64_t began_ms = flk_mono_ms();
    kill(agent.pid, SIGTERM);
    ck_assert_int_eq(finish(), 3);
    ck_assert_uint_lt(flk_mono_ms() - began_ms, 10000); /* all back-offs together take longer */
    ck_assert_ptr_nonnull(strstr(agent.err_text, "5 pending"));
    ck_assert_ptr_nonnull(strstr(agent.err_text, "flk-agent drain"));
    check_status(5, 0);
    door_close(&door);
    open_door(_i, NULL, 0);
    check_run("drain", 0);
    door_close(&door);
    ck_assert_uint_eq(door.log[0].attempt, 2);
    check_status(0, 0);
}
END_TEST

/* Nobody listens: after the tries of this run everything stays pending, and the summary says why. */
START_TEST(test_program_nobody_listens) {
    check_run("submit --tries 2 --window 400 " DATA, 3);
    check_said("5 retries, 0 dead letters, 5 pending (Failed to connect");
    check_said("flk-agent drain");
    check_status(5, 0);
    check_run("drain --json --tries 1", 3);
    json_t *summary = json_loads(agent.out_text, 0, NULL);
    ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(summary, "pending_reason")), "connect"));
    ck_assert(json_is_null(json_object_get(summary, "stopped")));
    json_decref(summary);
}
END_TEST

/* Something in between answers for the gateway, with every status: nothing is buried, all is delivered. */
START_TEST(test_program_proxy_in_between) {
    static const step_t script[] = {STEP_PROXY_502, STEP_PROXY_404, STEP_PROXY_403, STEP_PROXY_405,
                                    STEP_PROXY_401, STEP_REDIRECT,  STEP_BARE_400,  STEP_FRAMEWORK_400};
    open_door(_i, script, FLK_COUNT_OF(script));
    check_run("submit --window 400 " DATA, 0);
    check_line("5 PCS answered: 5 accepted, 0 escalated, 0 duplicates; 8 retries, 0 dead letters, 0 pending;");
    door_close(&door);
    check_status(0, 0);
}
END_TEST

/* ENDPOINT is a gateway's, but no address for PCS: the run stops with one line and status 2, nothing is buried. */
START_TEST(test_program_wrong_endpoint) {
    static step_t script[64];
    for (size_t i = 0; i < FLK_COUNT_OF(script); i++) {
        script[i] = STEP_ELSEWHERE;
    }
    open_door(0, script, FLK_COUNT_OF(script));
    check_run("submit --quiet --window 400 " DATA, 2);
    check_line("stopped: ENDPOINT http://127.0.0.1:");
    check_line("is no address for PCS (HTTP 404: there is no such page)");
    ck_assert_int_eq(status_of("dead"), 0);
    ck_assert_int_ge(status_of("pending"), 1);
    door_close(&door);
}
END_TEST

/* Signatures that are refused one after the other stop the run: 20 dead letters, the rest waits. Signed anew with the
 * right key, both are delivered. */
START_TEST(test_program_bad_key) {
    static step_t script[400];
    for (size_t i = 0; i < FLK_COUNT_OF(script); i++) {
        script[i] = STEP_SIGNATURE;
    }
    open_door(_i, script, FLK_COUNT_OF(script));
    check_run("submit --json " SLIDING, 5);
    check_line("stopped: 20 signatures in a row were refused");
    json_t *summary = json_loads(agent.out_text, 0, NULL), *reasons = json_object_get(summary, "dead_reasons");
    const char *reason = _i == 0 ? "HTTP 401 sig: does not verify" : "VERDICT 401 D_hat: must be a number";
    ck_assert_msg(json_integer_value(json_object_get(reasons, reason)) == 20, "%s", agent.out_text);
    ck_assert(json_is_string(json_object_get(summary, "stopped")));
    json_decref(summary);
    ck_assert_int_eq(status_of("dead"), 20);
    json_int_t pending = status_of("pending");
    ck_assert_int_ge(pending, 1);
    check_run("dead resign", 5); /* with the same key: the same */
    ck_assert_int_eq(status_of("dead"), 20);
    door_close(&door);

    setenv("PCS_SIGN_ALG", "hmac", 1);
    setenv("PCS_HMAC_KEY", "another key of 32 bytes for tests", 1);
    open_door(_i, NULL, 0);
    check_run("drain --resign", 0);
    check_run("dead resign", 0);
    check_line("20 PCS answered: 20 accepted");
    unsetenv("PCS_SIGN_ALG");
    unsetenv("PCS_HMAC_KEY");
    door_close(&door);
    ck_assert_uint_eq(door.seen, (size_t)pending + 20);
    for (size_t i = 0; i < door.seen; i++) {
        ck_assert(door.log[i].has_sig);
    }
    check_status(0, 0);
}
END_TEST

/* Refused signatures among others do not stop a run. */
START_TEST(test_program_some_bad_signatures) {
    static step_t script[60];
    for (size_t i = 0; i < FLK_COUNT_OF(script); i++) {
        script[i] = i % 10 == 9 ? STEP_ACCEPT : STEP_SIGNATURE;
    }
    open_door(_i, script, FLK_COUNT_OF(script));
    check_run("submit --parallel 1 " SLIDING, 3);
    check_status(0, 54);
    door_close(&door);
}
END_TEST

/* Dead letters are listed, shown and purged by id, all or one, and driven again by id. */
START_TEST(test_program_dead_verbs) {
    static const step_t script[] = {STEP_REFUSE, STEP_REFUSE, STEP_REFUSE, STEP_REFUSE, STEP_ACCEPT};
    open_door(0, script, FLK_COUNT_OF(script));
    check_run("submit --parallel 1 --window 400 " DATA, 3);
    check_said("4 dead letters (4 HTTP 400 D_hat: must be a number), 0 pending");
    check_run("dead list", 0);
    ck_assert_uint_eq(lines_of(agent.out_text), 4);
    ck_assert_ptr_nonnull(strstr(agent.out_text, "HTTP 400 D_hat: must be a number (try 1)"));
    check_run("dead list --json", 0);
    json_t *first = json_loads(agent.out_text, JSON_DISABLE_EOF_CHECK, NULL);
    char id[65], line[128];
    snprintf(id, sizeof id, "%s", json_string_value(json_object_get(first, "pcs_id")));
    json_decref(first);
    ck_assert_str_eq(id, door.log[0].pcs_id);
    snprintf(line, sizeof line, "dead show --json %.12s", id);
    check_run(line, 0);
    json_t *shown = json_loads(agent.out_text, 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(shown, "pcs"), "pcs_id")), id);
    json_decref(shown);
    snprintf(line, sizeof line, "dead purge %s", id);
    check_run(line, 0);
    ck_assert_str_eq(agent.out_text, "1 dead letters purged\n");
    check_run(line, 3);
    check_line("no dead letter has that id");
    check_status(0, 3);
    snprintf(line, sizeof line, "dead resign %.16s", door.log[1].pcs_id);
    check_run(line, 0);
    check_run("dead resign 0123456789abcdef", 3);
    check_status(0, 2);
    check_run("dead purge --all", 0);
    check_status(0, 0);
    door_close(&door);
}
END_TEST

/* With a limit on age a PCS that nobody answers becomes a dead letter, whose reason says so. */
START_TEST(test_program_expired) {
    setenv("FLK_OUTBOX_MAX_AGE_S", "1", 1);
    int status = run("submit --window 400 " DATA);
    unsetenv("FLK_OUTBOX_MAX_AGE_S");
    ck_assert_int_eq(status, 3);
    check_line("5 dead letters (5 no answer for 1 s");
    check_status(0, 5);
}
END_TEST

/* A duplicate counts as a duplicate and as nothing else; one with other content is told. */
START_TEST(test_program_duplicates) {
    static const step_t script[] = {STEP_ACCEPT, STEP_DUPLICATE, STEP_ESCALATE, STEP_CONFLICT, STEP_DUPLICATE};
    char line[512], results[128], text[4096] = "";
    snprintf(results, sizeof results, "%s/results", data_dir);
    snprintf(line, sizeof line, "submit --json --results %s --window 400 " DATA, results);
    open_door(_i, script, FLK_COUNT_OF(script));
    check_run(line, 0);
    door_close(&door);
    static const char *const members[] = {"answered", "accepted", "escalated", "duplicates", "conflicts"};
    static const json_int_t counts[] = {5, 1, 1, 3, 1};
    json_t *summary = json_loads(agent.out_text, 0, NULL);
    for (size_t i = 0; i < FLK_COUNT_OF(members); i++) {
        ck_assert_msg(json_integer_value(json_object_get(summary, members[i])) == counts[i], "%s", agent.out_text);
    }
    json_decref(summary);
    FILE *file = fopen(results, "r");
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    ck_assert_ptr_nonnull(strstr(text, "\"duplicate\":true,\"conflict\":true"));
    ck_assert_ptr_nonnull(strstr(text, "\"duplicate\":true,\"conflict\":false"));
    open_door(_i, script + 3, 1);
    check_run("submit --window 2000 " DATA, 0);
    check_said("1 PCS answered: 0 accepted, 0 escalated, 1 duplicates (1 with other content than at first)");
    door_close(&door);
}
END_TEST

/* A disk that is too full to make PCS durable: nothing is sent, a line says so, status 1; with space again all is
 * delivered. */
START_TEST(test_program_disk_full) {
    open_door(_i, NULL, 0);
    setenv("FLK_WAL_LOW_WATER_BYTES", "1099511627776", 1);
    int status = run("submit --quiet --window 400 " DATA);
    unsetenv("FLK_WAL_LOW_WATER_BYTES");
    ck_assert_int_eq(status, 1);
    check_said("cannot make PCS durable (no space left on the device)"); /* the log tells, too */
    ck_assert_uint_eq(door_seen(), 0);
    check_run("submit --window 400 " DATA, 0);
    door_close(&door);
    ck_assert_uint_eq(door.seen, 5);
    check_status(0, 0);
}
END_TEST

/* A second agent on one data directory is refused with one line; the first goes on. */
START_TEST(test_program_one_per_directory) {
    static const step_t silent[] = {STEP_SILENT, STEP_SILENT, STEP_SILENT, STEP_SILENT, STEP_SILENT};
    open_door(0, silent, 5);
    start("submit --window 400 " DATA);
    wait_for_seen(5);
    agent_t *first = malloc(sizeof *first);
    *first = agent;
    check_run("drain", 1);
    check_line("in use by another flk-agent");
    check_status(5, 0); /* looking is allowed */
    agent = *first;
    free(first);
    kill(agent.pid, SIGKILL);
    finish();
    door_close(&door);
}
END_TEST

/* ---- TLS ---- */

/* Makes a key and a certificate of "localhost" that is its own CA; false: no openssl here. */
static bool make_certificate(void) {
    char command[512];
    snprintf(command, sizeof command,
             "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out "
             "cert.pem -days 2 -subj /CN=localhost "
             "-addext subjectAltName=DNS:localhost >/dev/null 2>&1",
             data_dir);
    return system(command) == 0;
}

/* Starts a TLS server that answers nothing and writes its input to data_dir/got. */
static pid_t start_tls_server(int port) {
    char accept[32], path[128];
    snprintf(accept, sizeof accept, "%d", port);
    snprintf(path, sizeof path, "%s/got", data_dir);
    static int quiet[2]; /* its standard input, which must not end */
    ck_assert_int_eq(pipe2(quiet, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int got = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), null = open("/dev/null", O_RDWR);
        dup2(quiet[0], 0);
        dup2(got, 1);
        dup2(null, 2);
        (void)!chdir(data_dir);
        execlp("openssl", "openssl", "s_server", "-quiet", "-accept", accept, "-cert", "cert.pem", "-key", "key.pem",
               NULL);
        _exit(127);
    }
    return pid;
}

static bool got_post(void) {
    char path[128], text[4096] = "";
    snprintf(path, sizeof path, "%s/got", data_dir);
    FILE *file = fopen(path, "r");
    size_t bytes = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
    text[bytes] = '\0';
    if (file != NULL) {
        fclose(file);
    }
    return strstr(text, "POST /v1/pcs/submit") != NULL;
}

/* https: nothing is said to a server whose certificate does not verify; with its CA (--cacert) the PCS goes out. */
START_TEST(test_program_https) {
    if (!make_certificate()) {
        printf("SKIP test_program_https: no openssl program\n");
        return;
    }
    int port = 20000 + (int)(flk_random_u64() % 20000);
    char url[64], line[256];
    snprintf(url, sizeof url, "https://localhost:%d/v1/pcs/submit", port);
    endpoint = url;
    pid_t server = start_tls_server(port);
    uint64_t deadline_ms = flk_mono_ms() + 20000;
    do { /* until the server listens */
        check_run("submit --tries 1 --timeout 1s --window 2000 " DATA, 3);
    } while (strstr(agent.err_text, "certificate") == NULL && flk_mono_ms() < deadline_ms);
    check_said("certificate");
    ck_assert(!got_post());
    snprintf(line, sizeof line, "submit --cacert %s/cert.pem --tries 1 --timeout 1s --window 2000 " DATA, data_dir);
    check_run(line, 3);
    ck_assert(got_post());
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
}
END_TEST

/* ---- input ---- */

static void write_rows(const char *text) {
    ck_assert_int_eq(write(agent.in, text, strlen(text)), (ssize_t)strlen(text));
}

/* Standard input that stays open: a window is sent as soon as its rows are there, without waiting for the end. */
START_TEST(test_program_stream) {
    open_door(_i, NULL, 0);
    start("submit --window 2 --columns x,y -");
    write_rows("x,y\n1,2\n3,4\n");
    wait_for_seen(1);
    write_rows("5,6\n7");
    write_rows(",8\n");
    wait_for_seen(2);
    write_rows("9,10\n");
    ck_assert_int_eq(finish(), 0);
    door_close(&door);
    ck_assert_uint_eq(door.seen, 3);
}
END_TEST

/* A bad row: named, and either the end (with all before it delivered) or skipped and counted. */
START_TEST(test_program_bad_row) {
    open_door(0, NULL, 0);
    start("submit --window 2 --columns x,y -");
    write_rows("x,y\n1,2\n3,4\n5,x\n7,8\n");
    ck_assert_int_eq(finish(), 4);
    ck_assert_ptr_nonnull(strstr(agent.err_text, "standard input: row 3 (line 4), column y: not a number"));
    ck_assert_uint_eq(door_seen(), 1);
    start("submit --on-bad-row skip --window 2 --columns x,y -");
    write_rows("x,y\n1,2\n3,4\n5,x\n7,8\n");
    ck_assert_int_eq(finish(), 0);
    ck_assert_ptr_nonnull(strstr(agent.err_text, "1 bad rows skipped"));
    door_close(&door);
    ck_assert_uint_eq(door.seen, 3);
    start("compute --window 2 --columns x,y -");
    write_rows("x,y\n1,2\n3,4\n5,x\n7,8\n");
    ck_assert_int_eq(finish(), 4);
    ck_assert_uint_eq(lines_of(agent.out_text), 1);
}
END_TEST

/* Ready-made PCS go as they are; a line that is none is named with its member. */
START_TEST(test_program_ready_pcs) {
    char line[512], file[128];
    snprintf(file, sizeof file, "%s/pcs.ndjson", data_dir);
    snprintf(line, sizeof line, "compute --window 400 --out %s " DATA, file);
    check_run(line, 0);
    ck_assert_str_eq(agent.out_text, "");
    open_door(_i, NULL, 0);
    snprintf(line, sizeof line, "submit --pcs %s", file);
    check_run(line, 0);
    door_close(&door);
    ck_assert_uint_eq(door.seen, 5);
    ck_assert_uint_eq(door.log[0].outbox_seq, 0);
    start("submit --pcs -");
    write_rows("{\"pcs_id\":\"00\"}\n");
    ck_assert_int_eq(finish(), 4);
    ck_assert_ptr_nonnull(strstr(agent.err_text, "standard input: line 1, member "));
}
END_TEST

/* CSV and NDJSON of the same events, whole or in two files, give the same PCS ids. */
START_TEST(test_program_same_ids) {
    char csv[2][64], ndjson[64], line[512];
    static const char first[] = "time,x,y\n1,2.50,3\n2,4,5\n", second[] = "time,x,y\n3,1e1,7\n";
    agent_temp_file(csv[0], ".csv", first, sizeof first - 1);
    agent_temp_file(csv[1], ".csv", second, sizeof second - 1);
    const char *text =
        "{\"x\":2.5,\"y\":3,\"time\":1}\n{\"x\":4.0,\"y\":5,\"time\":2}\n{\"x\":10,\"y\":7.0,\"time\":3}\n";
    agent_temp_file(ndjson, ".ndjson", text, strlen(text));
    snprintf(line, sizeof line, "--window 2 --slide 1 %s %s", csv[0], csv[1]);
    json_t *of_csv = computed_ids(line);
    snprintf(line, sizeof line, "--window 2 --slide 1 %s", ndjson);
    json_t *of_ndjson = computed_ids(line);
    ck_assert_uint_eq(json_array_size(of_csv), 2);
    ck_assert(json_equal(of_csv, of_ndjson));
    json_decref(of_csv);
    json_decref(of_ndjson);
    unlink(csv[0]);
    unlink(csv[1]);
    unlink(ndjson);
}
END_TEST

/* ---- mistakes ---- */

/* Each mistake on the command line is one line that names it, and status 2. */
START_TEST(test_program_usage) {
    static const char *const cases[][2] = {
        {"", "no command"},
        {"fly", "'fly' is no command"},
        {"compute", "needs a file"},
        {"drain x.csv", "takes no file"},
        {"compute --wndow 3 x", "--wndow is no option (did you mean --window?)"},
        {"compute --window", "--window needs a value, LENGTH"},
        {"compute --window 0 x", "--window: '0' is not 1 to 16777216 rows, or a time like 90s"},
        {"compute --window 5y x", "--window: '5y'"},
        {"compute --window 9007199254740991d x", "--window: '9007199254740991d' is not 1 to"},
        {"compute --window 20000000 x", "--window: at most 16777216 rows"},
        {"compute --slide x x", "--slide: 'x' is not 1 to 16777216 rows"},
        {"compute --scales 1,2 x", "--scales: '1,2' is not 1 to 64 different numbers of at least 2"},
        {"compute --bins 5000 x", "--bins: '5000' is not 1 to 4096"},
        {"compute --grid round x", "--grid: 'round' is not unit or absolute"},
        {"submit --parallel 0 x", "--parallel: '0' is not 1 to 1024"},
        {"dead", "dead takes list, show, purge or resign"},
        {"dead bury", "dead takes list, show, purge or resign"},
        {"dead show xyz", "'xyz' is no ID"},
        {"dead purge", "dead purge needs an ID, or --all"},
        {"dead list --all", "--all belongs to dead purge"},
        {"status --resign", "status does not take --resign"},
        {"compute --window 5 --slide 6 x", "--slide is longer than --window"},
        {"compute --window 5h --slide 6 x", "both be counts or both be times"},
        {"compute --scales 2,2 x", "--scales"},
        {"compute --scales 1 x", "--scales"},
        {"compute --shard a/b x", "--shard"},
        {"compute --seed -1 x", "--seed"},
        {"compute --directions 0 x", "--directions: '0' is not 1 to 10000"},
        {"compute --parallel 3 x", "compute does not take --parallel"},
        {"drain --window 3", "drain does not take --window"},
        {"submit --timeout 5 x", "--timeout: '5' is not 1s to 3600s"},
        {"compute --policy /nonexistent x", "/nonexistent"},
        {"compute /nonexistent", "/nonexistent"},
        {"compute --window 6h --columns longitude --time-column when " DATA, "no column \"when\""},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        check_run(cases[i][0], 2);
        ck_assert_msg(strstr(agent.err_text, cases[i][1]) != NULL, "%s: %s", cases[i][0], agent.err_text);
        ck_assert_uint_le(lines_of(agent.err_text), 2);
    }
    endpoint = "gopher://x";
    check_run("drain", 2);
    check_line("ENDPOINT 'gopher://x'");
}
END_TEST

/* A data directory that cannot be made or written is one line and status 1. */
START_TEST(test_program_data_dir) {
    char file[128], kept[64];
    snprintf(file, sizeof file, "%s/file", data_dir);
    fclose(fopen(file, "w"));
    strcpy(kept, data_dir);
    strcat(data_dir, "/file");
    check_run("drain", 1);
    check_line("/file");
    strcpy(data_dir, kept);
}
END_TEST

/* --help names every option, setting and exit status; --version the version. */
START_TEST(test_program_help) {
    check_run("--help", 0);
    static const char *const words[] = {"--window",     "--on-bad-row WHAT", "ENDPOINT",
                                        "PCS_SIGN_ALG", "Exit status",       "dead letters"};
    for (size_t i = 0; i < FLK_COUNT_OF(words); i++) {
        ck_assert_msg(strstr(agent.out_text, words[i]) != NULL, "%s", words[i]);
    }
    check_run("--version", 0);
    ck_assert_str_eq(agent.out_text, "flk-agent " FLK_VERSION "\n");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("agent_program");
    TCase *tests = tcase_create("program");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, test_program_submit, 0, 2);
    tcase_add_loop_test(tests, test_program_dead_letter, 0, 2);
    tcase_add_loop_test(tests, test_program_killed, 0, 2);
    tcase_add_loop_test(tests, test_program_outbox_before_sending, 0, 2);
    tcase_add_loop_test(tests, test_program_stopped, 0, 2);
    tcase_add_test(tests, test_program_nobody_listens);
    tcase_add_loop_test(tests, test_program_proxy_in_between, 0, 2);
    tcase_add_test(tests, test_program_wrong_endpoint);
    tcase_add_loop_test(tests, test_program_bad_key, 0, 2);
    tcase_add_loop_test(tests, test_program_some_bad_signatures, 0, 2);
    tcase_add_test(tests, test_program_dead_verbs);
    tcase_add_test(tests, test_program_expired);
    tcase_add_loop_test(tests, test_program_duplicates, 0, 2);
    tcase_add_loop_test(tests, test_program_disk_full, 0, 2);
    tcase_add_test(tests, test_program_one_per_directory);
    tcase_add_test(tests, test_program_https);
    tcase_add_loop_test(tests, test_program_stream, 0, 2);
    tcase_add_test(tests, test_program_bad_row);
    tcase_add_loop_test(tests, test_program_ready_pcs, 0, 2);
    tcase_add_test(tests, test_program_same_ids);
    tcase_add_test(tests, test_program_usage);
    tcase_add_test(tests, test_program_data_dir);
    tcase_add_test(tests, test_program_help);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
