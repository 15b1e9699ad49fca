/* SPDX-License-Identifier: MIT */
#include "gateway/gateway.h"

bool flk_gateway_ready(void *arg, char *why) {
    flk_gateway_t *gateway = arg;
    if (atomic_load(&gateway->draining)) {
        flk_errmsg(why, "draining");
    } else if (!flk_wal_healthy(gateway->inbox)) {
        flk_errmsg(why, "the inbox log cannot make records durable");
    } else if (!flk_relay_linked(gateway->relay)) {
        flk_errmsg(why, "no broker is linked");
    } else {
        return true;
    }
    return false;
}
