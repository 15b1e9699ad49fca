/* SPDX-License-Identifier: MIT */
#include "proto/endpoint.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/address.h"
#include "proto/uplink.h"

enum { PORT_MAX = 65535 };

static const char tcp[] = "tcp://", ipc[] = "ipc://";

static bool is_port(const char *text, bool binds) {
    char *end;
    size_t digits = strspn(text, "0123456789");
    unsigned long port = strtoul(text, &end, 10);
    if (binds && (strcmp(text, "*") == 0 || strcmp(text, "!") == 0)) {
        return true;
    }
    return digits > 0 && digits <= 5 && *end == '\0' && port <= PORT_MAX && (binds || port > 0);
}

/* libzmq would check the same, but a name only after its look-up. */
static bool has_form(const char *endpoint, bool binds) {
    if (strncmp(endpoint, ipc, sizeof ipc - 1) == 0) {
        size_t bytes = strlen(endpoint + sizeof ipc - 1);
        return bytes > 0 && bytes < sizeof((struct sockaddr_un *)NULL)->sun_path;
    }
    if (strncmp(endpoint, tcp, sizeof tcp - 1) != 0) {
        return true; /* flk_security_check knows the rest */
    }
    const char *host = endpoint + sizeof tcp - 1, *colon = strrchr(host, ':');
    return colon != NULL && colon != host && strcspn(host, " \t/") == strlen(host) && is_port(colon + 1, binds);
}

static flk_err_t check_one(const flk_security_t *security, const char *endpoint, bool binds, char *errmsg) {
    char shown[FLK_ENDPOINT_BYTES];
    if (strlen(endpoint) >= FLK_ENDPOINT_BYTES) {
        flk_errmsg(errmsg, "endpoint of %zu bytes: at most %d are allowed", strlen(endpoint), FLK_ENDPOINT_BYTES - 1);
        return FLK_E_CONFIG;
    }
    if (!has_form(endpoint, binds)) {
        flk_address_show(endpoint, shown, sizeof shown);
        flk_errmsg(errmsg, "endpoint '%s' is not tcp://HOST:PORT with a port up to %d, or ipc://PATH", shown, PORT_MAX);
        return FLK_E_CONFIG;
    }
    return flk_security_check(security, endpoint, errmsg);
}

flk_err_t flk_endpoint_check(const flk_security_t *security, const char *setting, const char *endpoint, char *errmsg) {
    flk_err_t err = check_one(security, endpoint, true, errmsg);
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, setting);
    }
    return err;
}

typedef struct check {
    const flk_security_t *security;
    char seen[FLK_BROKERS_MAX][FLK_ENDPOINT_BYTES];
    flk_err_t err;
    char *errmsg;
} check_t;

static void check_item(void *arg, const char *endpoint, size_t index) {
    check_t *check = arg;
    if (check->err != FLK_OK) {
        return;
    }
    if (index >= FLK_BROKERS_MAX) {
        flk_errmsg(check->errmsg, "at most %d brokers are allowed", FLK_BROKERS_MAX);
        check->err = FLK_E_CONFIG;
        return;
    }
    check->err = check_one(check->security, endpoint, false, check->errmsg);
    if (check->err != FLK_OK) {
        return;
    }
    strcpy(check->seen[index], endpoint);
    for (size_t i = 0; i < index; i++) {
        if (strcmp(check->seen[i], endpoint) == 0) {
            flk_errmsg(check->errmsg, "names %s twice", endpoint);
            check->err = FLK_E_CONFIG;
        }
    }
}

flk_err_t flk_endpoints_check(const flk_security_t *security, const char *setting, const char *list, char *errmsg) {
    check_t check = {.security = security, .err = FLK_OK, .errmsg = errmsg};
    if (flk_settings_each(list, check_item, &check) == 0) {
        flk_errmsg(errmsg, "names no broker");
        check.err = FLK_E_CONFIG;
    }
    if (check.err != FLK_OK) {
        flk_errmsg_prefix(errmsg, setting);
    }
    return check.err;
}
