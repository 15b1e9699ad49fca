/* SPDX-License-Identifier: MIT */
/* Starts the gateway and its HTTP door, waits for a signal, drains, stops them in reverse. */
#include "common/log.h"
#include "common/program/notify.h"
#include "common/program/program.h"
#include "gateway/http_door.h"

static void wait_for_stop(void) {
    while (flk_program_wait(0) != FLK_WAKE_STOP) { /* there is nothing to reload here */
    }
}

static flk_err_t serve(const flk_settings_t *settings, char *errmsg) {
    flk_gateway_t gateway;
    flk_http_door_t *door = NULL;
    flk_err_t err = flk_gateway_start(&gateway, settings, errmsg);
    bool stopped = err == FLK_E_CLOSED && flk_program_stop_asked(); /* while a long log was read */
    if (err == FLK_OK) {
        err = flk_http_door_start(&gateway, &door, errmsg);
    }
    if (err == FLK_OK) {
        char http[FLK_LISTEN_TEXT_BYTES];
        flk_http_door_address(door, http);
        flk_log(FLK_LOG_INFO, "ready", FLK_S("http", http),
                FLK_S("zmq", flk_settings_str(settings, FLK_SET_ZMQ_LISTEN)));
        flk_notify(FLK_NOTIFY_READY);
        wait_for_stop();
        flk_notify(FLK_NOTIFY_STOPPING);
        flk_http_door_drain(door);
        flk_gateway_drain(&gateway);
    }
    flk_http_door_stop(&door);
    flk_gateway_stop(&gateway);
    return stopped ? FLK_OK : err;
}

static const flk_start_t start_as = {
    .program = FLK_PROGRAM_GATEWAY,
    .summary = "takes PCS over HTTP and ZeroMQ, logs them, relays them to brokers",
    .check = flk_gateway_check,
    .serve = serve,
};

int main(int argc, char **argv) {
    flk_program_begin();
    return flk_program_run(&start_as, argc, argv);
}
