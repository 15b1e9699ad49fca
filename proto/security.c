/* SPDX-License-Identifier: MIT */
/* The secret key lives in locked memory of its own (sodium_malloc), for as long as sockets are made; libzmq keeps a
 * copy in each socket. Faults of the settings are found at start. Faults of the peers' keys are not: keys come and go
 * while the process runs, and until a server is trusted there is no server to connect to. */
#include "proto/security.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "common/address.h"
#include "common/log.h"

enum { ZAP_ENFORCE_DOMAIN = 93 /* ZMQ_ZAP_ENFORCE_DOMAIN, which zmq.h shows to drafts only */ };

struct flk_security {
    bool plaintext;
    flk_role_t servers;
    uint8_t *secret;                       /* sodium_malloc; NULL: no CURVE */
    char public_key[FLK_CURVE_TEXT_BYTES]; /* that belongs to it */
    flk_keydir_t *keys;                    /* NULL: no CURVE */
};

/* ---- life ---- */

static flk_err_t read_keys(flk_security_t *security, const flk_security_options_t *options, char *errmsg) {
    FLK_ASSERT(sodium_init() >= 0); /* more than once is fine */
    security->secret = sodium_malloc(FLK_CURVE_KEY_BYTES);
    if (security->secret == NULL) {
        flk_errmsg(errmsg, "out of memory for the secret key");
        return FLK_E_NOMEM;
    }
    flk_err_t err = flk_curve_read_secret(options->key_file, security->secret, security->public_key, errmsg);
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, "FLK_CURVE_KEY_FILE");
        return err;
    }
    return flk_keydir_new(options->key_dir, options->guests | FLK_ROLE_BIT(options->servers), &security->keys, errmsg);
}

flk_err_t flk_security_new(const flk_security_options_t *options, flk_security_t **security, char *errmsg) {
    bool has_key = options->key_file[0] != '\0', has_dir = options->key_dir[0] != '\0';
    *security = NULL;
    if (has_key != has_dir) {
        flk_errmsg(errmsg, "%s is set but %s is not; CURVE needs both",
                   has_key ? "FLK_CURVE_KEY_FILE" : "FLK_CURVE_DIR", has_key ? "FLK_CURVE_DIR" : "FLK_CURVE_KEY_FILE");
        return FLK_E_CONFIG;
    }
    flk_security_t *made = flk_start_alloc(sizeof *made);
    made->plaintext = options->plaintext;
    made->servers = options->servers;
    flk_err_t err = has_key ? read_keys(made, options, errmsg) : FLK_OK;
    if (err != FLK_OK) {
        flk_security_destroy(&made);
    }
    *security = made;
    return err;
}

flk_err_t flk_security_load(const flk_settings_t *settings, flk_role_t servers, unsigned guests,
                            flk_security_t **security, char *errmsg) {
    flk_security_options_t options = {
        .key_file = flk_settings_str(settings, FLK_SET_CURVE_KEY_FILE),
        .key_dir = flk_settings_str(settings, FLK_SET_CURVE_DIR),
        .plaintext = flk_settings_bool(settings, FLK_SET_PLAINTEXT),
        .servers = servers,
        .guests = guests,
    };
    return flk_security_new(&options, security, errmsg);
}

void flk_security_destroy(flk_security_t **security) {
    flk_security_t *gone = *security;
    if (gone == NULL) {
        return;
    }
    sodium_free(gone->secret); /* wipes it */
    flk_keydir_destroy(&gone->keys);
    free(gone);
    *security = NULL;
}

/* ---- endpoints ---- */

static const char tcp[] = "tcp://";

static bool is_tcp(const char *endpoint) {
    return strncmp(endpoint, tcp, sizeof tcp - 1) == 0;
}

/* 127.0.0.0/8, ::1 or localhost in "host:port". */
static bool is_loopback(const char *host_port) {
    char host[64];
    const char *colon = strrchr(host_port, ':');
    size_t host_bytes = colon == NULL ? 0 : (size_t)(colon - host_port);
    if (host_bytes == 0 || host_bytes >= sizeof host) {
        return false;
    }
    memcpy(host, host_port, host_bytes);
    host[host_bytes] = '\0';
    struct in_addr ipv4;
    if (inet_pton(AF_INET, host, &ipv4) == 1) {
        return ntohl(ipv4.s_addr) >> 24 == 127;
    }
    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

bool flk_security_has_key(const flk_security_t *security) {
    return security != NULL && security->secret != NULL;
}

bool flk_security_covers(const flk_security_t *security, const char *endpoint) {
    return flk_security_has_key(security) && is_tcp(endpoint);
}

flk_err_t flk_security_check(const flk_security_t *security, const char *endpoint, char *errmsg) {
    if (strncmp(endpoint, "ipc://", 6) == 0 || strncmp(endpoint, "inproc://", 9) == 0) {
        return FLK_OK;
    }
    if (!is_tcp(endpoint)) {
        char shown[128];
        flk_address_show(endpoint, shown, sizeof shown);
        flk_errmsg(errmsg, "endpoint '%s' is not tcp://HOST:PORT or ipc://PATH", shown);
        return FLK_E_CONFIG;
    }
    if (flk_security_has_key(security) || is_loopback(endpoint + sizeof tcp - 1)) {
        return FLK_OK;
    }
    if (security == NULL || !security->plaintext) {
        flk_errmsg(errmsg,
                   "endpoint '%.128s' is beyond loopback and would not be encrypted: set FLK_CURVE_KEY_FILE and "
                   "FLK_CURVE_DIR, or FLK_PLAINTEXT=1 to go without",
                   endpoint);
        return FLK_E_CONFIG;
    }
    static atomic_flag warned = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&warned)) {
        char shown[128];
        flk_address_show(endpoint, shown, sizeof shown);
        flk_log(FLK_LOG_WARN, "link_in_plaintext", FLK_S("endpoint", shown),
                FLK_S("effect", "anyone on this network can read, forge and join"));
    }
    return FLK_OK;
}

/* ---- sockets ---- */

static void set(void *socket, int option, const void *value, size_t bytes) {
    FLK_ASSERT(zmq_setsockopt(socket, option, value, bytes) == 0);
}

void flk_security_serve(const flk_security_t *security, void *socket, flk_role_t role) {
    static const int on = 1;
    const char *domain = flk_role_name(role);
    set(socket, ZMQ_CURVE_SERVER, &on, sizeof on);
    set(socket, ZMQ_CURVE_SECRETKEY, security->secret, FLK_CURVE_KEY_BYTES);
    set(socket, ZMQ_ZAP_DOMAIN, domain, strlen(domain));
    /* Without a handler nobody gets in. A libzmq that does not know the option would let everybody in then; so the
     * handler's life encloses the socket's all the same (zap.h). */
    (void)zmq_setsockopt(socket, ZAP_ENFORCE_DOMAIN, &on, sizeof on);
}

flk_err_t flk_security_enter(const flk_security_t *security, void *socket, size_t turn,
                             char server[FLK_CURVE_TEXT_BYTES], char *errmsg) {
    flk_keydir_look(security->keys, flk_mono_ms());
    if (!flk_keydir_pick(security->keys, security->servers, turn, server)) {
        flk_errmsg(errmsg, "FLK_CURVE_DIR has no key in %s/ to trust", flk_role_dir(security->servers));
        return FLK_E_UNAVAILABLE;
    }
    set(socket, ZMQ_CURVE_SERVERKEY, server, FLK_CURVE_TEXT_BYTES);
    set(socket, ZMQ_CURVE_PUBLICKEY, security->public_key, FLK_CURVE_TEXT_BYTES);
    set(socket, ZMQ_CURVE_SECRETKEY, security->secret, FLK_CURVE_KEY_BYTES);
    return FLK_OK;
}

bool flk_security_trusts(const flk_security_t *security, const char *server, uint64_t now_ms) {
    flk_keydir_look(security->keys, now_ms);
    return flk_keydir_has(security->keys, FLK_ROLE_BIT(security->servers), server, NULL);
}

flk_keydir_t *flk_security_keys(const flk_security_t *security) {
    return security == NULL ? NULL : security->keys;
}
