/* SPDX-License-Identifier: MIT */
#include "agent/flk/door.h"

#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 15000 };

flk_err_t flk_door_open(const flk_door_options_t *options, flk_door_t **out, char *errmsg) {
    flk_door_t *door = *out = flk_start_alloc(sizeof *door);
    flk_err_t err = flk_settings_load(FLK_PROGRAM_AGENT, &door->settings, errmsg);
    if (err == FLK_OK) {
        err = flk_security_load(door->settings, FLK_ROLE_GATEWAY, 0, &door->security, errmsg);
    }
    if (err != FLK_OK) {
        return err;
    }
    flk_sign_alg_t alg;
    FLK_ASSERT(flk_sign_alg_parse(flk_settings_str(door->settings, FLK_SET_SIGN_ALG), &alg));
    door->signs = alg != FLK_SIGN_NONE;
    door->transport = (flk_transport_options_t){
        .endpoint = flk_settings_str(door->settings, FLK_SET_ENDPOINT),
        .ca_file = options->ca_file,
        .security = door->security,
        .heartbeat_ms = (uint32_t)flk_settings_uint(door->settings, FLK_SET_HEARTBEAT_MS),
        .parallel = options->parallel,
        .timeout_ms = TIMEOUT_MS,
    };
    err = flk_signer_new(alg, flk_settings_str(door->settings, FLK_SET_HMAC_KEY),
                         flk_settings_str(door->settings, FLK_SET_ED25519_SECRET), &door->signer, errmsg);
    return err != FLK_OK ? err
                         : flk_delivery_loop_new(&door->transport, (flk_delivery_limits_t){.tries = options->tries},
                                                 options->on_done, options->on_done_arg, &door->loop, errmsg);
}

flk_err_t flk_door_send(flk_door_t *door, const char *json, size_t json_bytes, char *errmsg) {
    flk_parcel_t *parcel;
    flk_err_t err = flk_parcel_new(json, json_bytes, &parcel, errmsg);
    if (err == FLK_OK) {
        flk_id_random(&parcel->id);
        parcel->ready = true; /* attempt and sent_at are its maker's */
        flk_delivery_loop_take(door->loop, parcel);
    }
    return err;
}

const char *flk_door_hint(const flk_door_t *door) {
    bool zmq = strncmp(door->transport.endpoint, "tcp://", 6) == 0;
    return !zmq ? ""
           : !flk_security_has_key(door->security)
               ? "; if it has CURVE keys, FLK_CURVE_KEY_FILE and FLK_CURVE_DIR must name ours"
               : "; it may not have our public key, or we not its: flk doctor agent tells";
}

void flk_door_close(flk_door_t **door) {
    if (*door != NULL) {
        flk_delivery_loop_destroy(&(*door)->loop);
        flk_signer_destroy(&(*door)->signer);
        flk_security_destroy(&(*door)->security);
        flk_settings_destroy(&(*door)->settings);
        free(*door);
        *door = NULL;
    }
}
