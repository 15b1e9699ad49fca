/* SPDX-License-Identifier: MIT */
#include "agent/flk/cluster/daemon.h"

#include <string.h>

#include "agent/flk/cluster/port.h"

const flk_daemon_t flk_daemons[FLK_DAEMONS] = {
    {"gateway", FLK_PROGRAM_GATEWAY, FLK_SET_HTTP_LISTEN, 8080},
    {"broker", FLK_PROGRAM_BROKER, FLK_SET_ADMIN_LISTEN, 8081},
    {"worker", FLK_PROGRAM_WORKER, FLK_SET_ADMIN_LISTEN, 8082},
    {"follow", FLK_PROGRAM_FOLLOW, FLK_SET_FOLLOW_LISTEN, 8084},
};

const flk_daemon_t *flk_daemon_named(const char *name) {
    for (size_t i = 0; i < FLK_DAEMONS; i++) {
        if (strcmp(flk_daemons[i].name, name) == 0) {
            return &flk_daemons[i];
        }
    }
    return NULL;
}

flk_err_t flk_daemon_address(const flk_daemon_t *daemon, char address[FLK_DAEMON_ADDRESS_BYTES], char *errmsg) {
    flk_settings_t *settings;
    flk_err_t err = flk_settings_load(daemon->program, &settings, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    const char *listen = flk_settings_str(settings, daemon->listen);
    if (strcmp(listen, "off") == 0) {
        flk_errmsg(errmsg, "flk-%s has no pages to ask: FLK_ADMIN_LISTEN is off", daemon->name);
        err = FLK_E_CONFIG;
    }
    flk_port_connectable(listen, address, FLK_DAEMON_ADDRESS_BYTES);
    flk_settings_destroy(&settings);
    return err;
}
