/* SPDX-License-Identifier: MIT */
/* The agent's settings for sending: the door (ENDPOINT), the delivery loop to it, and the key to sign with. One
 * thread. */
#ifndef FLK_AGENT_FLK_DOOR_H
#define FLK_AGENT_FLK_DOOR_H

#include "agent/send/delivery_loop.h"
#include "common/pcs/keys.h"
#include "common/program/settings.h"

typedef struct flk_door_options {
    uint32_t parallel;
    const char *ca_file; /* https: NULL = the system's */
    uint32_t tries;      /* of each PCS */
    flk_delivery_done_fn *on_done;
    void *on_done_arg;
} flk_door_options_t;

typedef struct flk_door {
    flk_settings_t *settings;          /* the agent's */
    flk_security_t *security;          /* of a ZeroMQ link */
    flk_transport_options_t transport; /* strings are the settings', and the security this one */
    flk_signer_t *signer;
    bool signs; /* PCS_SIGN_ALG is not none */
    flk_delivery_loop_t *loop;
} flk_door_t;

/* Errors: FLK_E_CONFIG, FLK_E_NOMEM, with a line in errmsg. Caller frees with flk_door_close also after an error. */
FLK_MUST_CHECK flk_err_t flk_door_open(const flk_door_options_t *options, flk_door_t **door, char *errmsg);
void flk_door_close(flk_door_t **door);

/* Hands the PCS of `json`, borrowed until return, to the delivery loop. Errors: those of flk_parcel_new. */
FLK_MUST_CHECK flk_err_t flk_door_send(flk_door_t *door, const char *json, size_t json_bytes, char *errmsg);

/* A hint for a door that is silent: ", if it has keys ..." for a ZeroMQ door without a key of ours; "" otherwise.
 */
const char *flk_door_hint(const flk_door_t *door);

#endif
