/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "proto/zap.h"
#include "tests/unit/rig/suite.h"

enum { WAIT_MS = 20000, A_MOMENT_MS = 300 };

static char dir[64], errmsg[FLK_ERRMSG_BYTES];
static const char *const names[] = {"server", "w1", "w2", "a1", "alice"};
static char keys[FLK_COUNT_OF(names)][FLK_CURVE_TEXT_BYTES];

/* DIR/name+suffix, good until the fourth next call. */
static const char *path(const char *name, const char *suffix) {
    static char text[4][128];
    static unsigned turn;
    char *place = text[turn++ % FLK_COUNT_OF(text)];
    snprintf(place, sizeof text[0], "%s/%s%s", dir, name, suffix);
    return place;
}

static void write_file(const char *file, const char *text) {
    FILE *stream = fopen(file, "we");
    ck_assert_ptr_nonnull(stream);
    fputs(text, stream);
    ck_assert_int_eq(fclose(stream), 0);
}

static void setup(void) {
    snprintf(dir, sizeof dir, "/tmp/flk-zap-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    for (size_t i = 0; i < FLK_COUNT_OF(names); i++) {
        ck_assert_int_eq(flk_curve_make_files(path(names[i], ".key"), path(names[i], ".pub"), keys[i], errmsg), FLK_OK);
    }
    for (flk_role_t role = 0; role < FLK_ROLES_COUNT; role++) {
        ck_assert_int_eq(mkdir(path(flk_role_dir(role), ""), 0700), 0);
    }
    write_file(path("brokers/server.pub", ""), keys[0]);
    write_file(path("gateways/server.pub", ""), keys[0]);
    write_file(path("workers/w1.pub", ""), keys[1]);
    write_file(path("workers/w2.pub", ""), keys[2]);
    write_file(path("agents/a1.pub", ""), keys[3]);
    write_file(path("admins/alice.pub", ""), keys[4]);
}

static void teardown(void) {
    char command[128];
    flk_io_set_fault(NULL, NULL);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

/* ---- the directory ---- */

static flk_keydir_t *open_keydir(unsigned roles) {
    flk_keydir_t *keydir;
    ck_assert_int_eq(flk_keydir_new(dir, roles, &keydir, errmsg), FLK_OK);
    return keydir;
}

/* A look that is due, whenever the last one was. */
static void look(flk_keydir_t *keydir) {
    static uint64_t ahead_ms;
    ahead_ms += 1000;
    flk_keydir_look(keydir, flk_mono_ms() + ahead_ms);
}

/* A key counts in the role that its directory stands for and in no other, under the name of its file. */
START_TEST(test_keydir_knows_roles_and_names) {
    flk_keydir_t *keydir = open_keydir(FLK_ROLE_BIT(FLK_ROLE_WORKER) | FLK_ROLE_BIT(FLK_ROLE_AGENT));
    char name[FLK_CURVE_NAME_MAX + 1];
    ck_assert(flk_keydir_has(keydir, FLK_ROLE_BIT(FLK_ROLE_WORKER), keys[2], name));
    ck_assert_str_eq(name, "w2");
    ck_assert(!flk_keydir_has(keydir, FLK_ROLE_BIT(FLK_ROLE_AGENT), keys[2], NULL));
    ck_assert(!flk_keydir_has(keydir, ~0u, keys[4], NULL)); /* admins/ is not read */
    ck_assert(!flk_keydir_has(keydir, ~0u, "", NULL));
    ck_assert_uint_eq(flk_keydir_len(keydir, FLK_ROLE_WORKER), 2);
    char first[FLK_CURVE_TEXT_BYTES], second[FLK_CURVE_TEXT_BYTES], third[FLK_CURVE_TEXT_BYTES];
    ck_assert(flk_keydir_pick(keydir, FLK_ROLE_WORKER, 0, first));
    ck_assert(flk_keydir_pick(keydir, FLK_ROLE_WORKER, 1, second));
    ck_assert(flk_keydir_pick(keydir, FLK_ROLE_WORKER, 2, third));
    ck_assert_str_ne(first, second);
    ck_assert_str_eq(first, third);
    ck_assert(!flk_keydir_pick(keydir, FLK_ROLE_ADMIN, 0, first));
    flk_keydir_destroy(&keydir);
}
END_TEST

/* Files come, change within the grain of the clock, and go: each look sees it, and the generation rises; when nothing
 * changed it does not. */
START_TEST(test_keydir_follows_the_disk) {
    flk_keydir_t *keydir = open_keydir(FLK_ROLE_BIT(FLK_ROLE_WORKER));
    const unsigned workers = FLK_ROLE_BIT(FLK_ROLE_WORKER);
    uint64_t generation = flk_keydir_generation(keydir);
    look(keydir);
    ck_assert_uint_eq(flk_keydir_generation(keydir), generation);
    for (int i = 0; i < 20; i++) { /* the same file, the same size, within milliseconds */
        write_file(path("workers/w1.pub", ""), keys[3 + i % 2]);
        look(keydir);
        ck_assert(flk_keydir_has(keydir, workers, keys[3 + i % 2], NULL));
        ck_assert(!flk_keydir_has(keydir, workers, keys[3 + (i + 1) % 2], NULL));
    }
    ck_assert_uint_ge(flk_keydir_generation(keydir), generation + 20);
    ck_assert_int_eq(unlink(path("workers/w1.pub", "")), 0);
    look(keydir);
    ck_assert_uint_eq(flk_keydir_len(keydir, FLK_ROLE_WORKER), 1);
    flk_keydir_destroy(&keydir);
}
END_TEST

/* A file that is no key is passed over: hidden files, editors' copies, directories, half a key. The others count. A
 * mounted ConfigMap's links do. */
START_TEST(test_keydir_passes_over_what_is_no_key) {
    write_file(path("workers/.hidden.pub", ""), keys[0]);
    write_file(path("workers/w3.pub~", ""), keys[0]);
    write_file(path("workers/README", ""), keys[0]);
    write_file(path("workers/half.pub", ""), "Yne@$w-vo<fVvi");
    ck_assert_int_eq(mkdir(path("workers/dir.pub", ""), 0700), 0);
    ck_assert_int_eq(symlink("nowhere", path("workers/dangling.pub", "")), 0);
    ck_assert_int_eq(symlink(path("alice", ".pub"), path("workers/linked.pub", "")), 0);
    flk_keydir_t *keydir = open_keydir(FLK_ROLE_BIT(FLK_ROLE_WORKER));
    ck_assert_uint_eq(flk_keydir_len(keydir, FLK_ROLE_WORKER), 3);
    ck_assert(flk_keydir_admits(keydir, FLK_ROLE_BIT(FLK_ROLE_WORKER), keys[4], NULL));
    flk_keydir_destroy(&keydir);
}
END_TEST

static int refuse_reading(flk_io_op_t op, const char *file, void *arg) {
    (void)arg;
    return op == FLK_IO_OPEN && strstr(file, "/workers/") != NULL ? EMFILE : 0;
}

/* A directory that is gone empties its list: nobody gets in, nobody stays. One that cannot be read because this
 * process ran out of descriptors lets nobody new in, but throws nobody out. Both heal by themselves. */
START_TEST(test_keydir_fails_closed) {
    const unsigned workers = FLK_ROLE_BIT(FLK_ROLE_WORKER);
    flk_keydir_t *keydir = open_keydir(workers);
    flk_io_set_fault(refuse_reading, NULL);
    write_file(path("workers/new.pub", ""), keys[3]);
    look(keydir);
    ck_assert(flk_keydir_has(keydir, workers, keys[1], NULL));
    ck_assert(!flk_keydir_admits(keydir, workers, keys[1], NULL));
    flk_io_set_fault(NULL, NULL);
    look(keydir);
    ck_assert(flk_keydir_admits(keydir, workers, keys[1], NULL));
    ck_assert(flk_keydir_admits(keydir, workers, keys[3], NULL));
    ck_assert_int_eq(rename(path("workers", ""), path("away", "")), 0);
    look(keydir);
    ck_assert(!flk_keydir_has(keydir, workers, keys[1], NULL));
    ck_assert_int_eq(rename(path("away", ""), path("workers", "")), 0);
    look(keydir);
    ck_assert(flk_keydir_admits(keydir, workers, keys[1], NULL));
    flk_keydir_destroy(&keydir);
}
END_TEST

/* ---- the handler ---- */

static flk_security_t *security_of(const char *name, flk_role_t servers, unsigned guests) {
    char key_file[128];
    flk_security_t *security;
    snprintf(key_file, sizeof key_file, "%s/%s.key", dir, name);
    flk_security_options_t options = {.key_file = key_file, .key_dir = dir, .servers = servers, .guests = guests};
    ck_assert_msg(flk_security_new(&options, &security, errmsg) == FLK_OK, "%s", errmsg);
    return security;
}

/* A listener for workers with its handler, and a client of it. */
typedef struct scene {
    void *context, *client_context, *router, *dealer;
    flk_security_t *security, *client;
    flk_metrics_t *metrics;
    flk_zap_t *zap;
    char endpoint[64];
    flk_message_t message;
} scene_t;

static void scene_open(scene_t *scene) {
    *scene = (scene_t){.context = zmq_ctx_new(), .client_context = zmq_ctx_new(), .metrics = flk_metrics_new()};
    scene->security =
        security_of("server", FLK_ROLE_NONE, FLK_ROLE_BIT(FLK_ROLE_WORKER) | FLK_ROLE_BIT(FLK_ROLE_AGENT));
    flk_message_init(&scene->message);
    ck_assert_int_eq(flk_zap_start(scene->context, scene->security, scene->metrics, &scene->zap, errmsg), FLK_OK);
    ck_assert_int_eq(
        flk_link_bind(scene->context, "tcp://127.0.0.1:*", scene->zap, FLK_ROLE_WORKER, &scene->router, errmsg),
        FLK_OK);
    size_t bytes = sizeof scene->endpoint;
    ck_assert_int_eq(zmq_getsockopt(scene->router, ZMQ_LAST_ENDPOINT, scene->endpoint, &bytes), 0);
}

static void scene_enter(scene_t *scene, const char *name) {
    flk_server_t server = {0};
    scene->client = security_of(name, FLK_ROLE_BROKER, 0);
    ck_assert_int_eq(
        flk_link_connect(scene->client_context, scene->endpoint, scene->client, &server, &scene->dealer, errmsg),
        FLK_OK);
    ck_assert_str_eq(server.key, keys[0]);
}

static void scene_close(scene_t *scene) {
    flk_message_fini(&scene->message);
    flk_link_close(&scene->dealer);
    flk_link_close(&scene->router);
    flk_zap_stop(&scene->zap);
    flk_security_destroy(&scene->client);
    flk_security_destroy(&scene->security);
    flk_metrics_destroy(&scene->metrics);
    zmq_ctx_term(scene->client_context);
    zmq_ctx_term(scene->context);
}

/* Sends PINGs until one arrives; false: none did. */
static bool gets_through(scene_t *scene, uint64_t within_ms) {
    const flk_frame_t ping = {.kind = FLK_PING};
    for (uint64_t end_ms = flk_mono_ms() + within_ms; flk_mono_ms() < end_ms; usleep(1000)) {
        (void)!flk_link_send(scene->dealer, NULL, &ping, NULL);
        if (flk_link_recv(scene->router, true, &scene->message, errmsg) == FLK_OK) {
            return true;
        }
    }
    return false;
}

/* A key of the list gets in, and each of its messages says whose it is. When it is taken out, the next message is
 * refused, and with it the connection ends; nothing gets through any more. */
START_TEST(test_zap_lets_in_and_puts_out) {
    scene_t scene;
    scene_open(&scene);
    scene_enter(&scene, "w1");
    ck_assert(gets_through(&scene, WAIT_MS));
    ck_assert_str_eq(flk_zap_user(&scene.message), keys[1]);
    ck_assert(flk_zap_admits(scene.zap, scene.router, &scene.message));
    ck_assert(flk_zap_keeps(scene.zap, scene.router, keys[1]));
    uint64_t generation = flk_zap_generation(scene.zap), end_ms = flk_mono_ms() + WAIT_MS;
    ck_assert_int_eq(unlink(path("workers/w1.pub", "")), 0);
    while (flk_zap_generation(scene.zap) == generation) {
        ck_assert_uint_lt(flk_mono_ms(), end_ms);
        usleep(1000);
    }
    ck_assert(!flk_zap_keeps(scene.zap, scene.router, keys[1]));
    ck_assert(gets_through(&scene, WAIT_MS));
    ck_assert(!flk_zap_admits(scene.zap, scene.router, &scene.message));
    while (flk_link_recv(scene.router, true, &scene.message, errmsg) == FLK_OK) { /* was under way already */
        ck_assert(!flk_zap_admits(scene.zap, scene.router, &scene.message));
    }
    while (gets_through(&scene, A_MOMENT_MS)) { /* until the end of the connection has come through */
        ck_assert_uint_lt(flk_mono_ms(), end_ms);
        ck_assert(!flk_zap_admits(scene.zap, scene.router, &scene.message));
    }
    scene_close(&scene);
}
END_TEST

/* A key of another role does not get in. */
START_TEST(test_zap_binds_keys_to_roles) {
    scene_t scene;
    scene_open(&scene);
    scene_enter(&scene, "a1");
    ck_assert(!gets_through(&scene, A_MOMENT_MS));
    scene_close(&scene);
}
END_TEST

/* Once its handler is gone a listener lets no client in. */
START_TEST(test_zap_without_handler_nobody_enters) {
    scene_t scene;
    scene_open(&scene);
    flk_zap_stop(&scene.zap);
    scene_enter(&scene, "w1");
    ck_assert(!gets_through(&scene, A_MOMENT_MS));
    scene_close(&scene);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("zap");
    TCase *tc = tcase_create("zap");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_keydir_knows_roles_and_names);
    tcase_add_test(tc, test_keydir_follows_the_disk);
    tcase_add_test(tc, test_keydir_passes_over_what_is_no_key);
    tcase_add_test(tc, test_keydir_fails_closed);
    tcase_add_test(tc, test_zap_lets_in_and_puts_out);
    tcase_add_test(tc, test_zap_binds_keys_to_roles);
    tcase_add_test(tc, test_zap_without_handler_nobody_enters);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
