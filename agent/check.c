/* SPDX-License-Identifier: MIT */
#include "agent/check.h"

#include <stdio.h>
#include <string.h>

#include "agent/send/transport.h"
#include "common/io.h"
#include "proto/endpoint.h"

static flk_err_t check_endpoint(const flk_agent_options_t *options, const flk_settings_t *settings,
                                const flk_security_t *security, char *errmsg) {
    const char *endpoint = flk_settings_str(settings, FLK_SET_ENDPOINT);
    if (strncmp(endpoint, "tcp://", 6) == 0 || strncmp(endpoint, "ipc://", 6) == 0) {
        return flk_endpoints_check(security, "ENDPOINT", endpoint, errmsg);
    }
    const flk_transport_options_t http = {.endpoint = endpoint,
                                          .ca_file = options->ca_file,
                                          .parallel = options->parallel,
                                          .timeout_ms = options->timeout_ms};
    flk_transport_t *transport = NULL;
    flk_err_t err = flk_transport_open(&http, &transport, errmsg); /* it connects when there is something to send */
    flk_transport_close(&transport);
    return err;
}

flk_err_t flk_check_settings(const flk_agent_options_t *options, const flk_settings_t *settings,
                             const flk_security_t *security, char *errmsg) {
    const char *dir = flk_settings_str(settings, FLK_SET_DATA_DIR);
    flk_err_t err = check_endpoint(options, settings, security, errmsg);
    return err != FLK_OK ? err : flk_err_at(flk_io_check_dir(dir, errmsg), "FLK_DATA_DIR", errmsg);
}

int flk_check_run(const flk_agent_options_t *options, const flk_settings_t *settings) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_security_t *security = NULL;
    flk_err_t err = flk_security_load(settings, FLK_ROLE_GATEWAY, 0, &security, errmsg);
    err = err != FLK_OK ? err : flk_check_settings(options, settings, security, errmsg);
    if (err == FLK_OK) {
        (options->json ? flk_settings_print_effective_json : flk_settings_print_effective)(settings, stdout);
    } else {
        fprintf(stderr, "flk-agent: %s\n", errmsg);
    }
    flk_security_destroy(&security);
    return flk_exit_status(err);
}
