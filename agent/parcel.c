/* SPDX-License-Identifier: MIT */
#include "agent/parcel.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/builder.h"

flk_err_t flk_parcel_new(const void *json, size_t json_bytes, flk_parcel_t **out, char *errmsg) {
    flk_parcel_t *parcel = calloc(1, sizeof *parcel);
    flk_pcs_t *pcs = malloc(sizeof *pcs);
    flk_err_t err = FLK_E_NOMEM;
    if (parcel != NULL && pcs != NULL && (parcel->json = malloc(json_bytes + 1)) != NULL) {
        flk_pcs_fault_t fault;
        err = flk_pcs_from_json(json, json_bytes, pcs, &fault);
        if (err == FLK_OK) {
            memcpy(parcel->pcs_id, pcs->id, sizeof parcel->pcs_id);
            memcpy(parcel->json, json, json_bytes);
            parcel->json_bytes = json_bytes;
            flk_pcs_fini(pcs);
        } else {
            flk_errmsg(errmsg, "%s%s%s", fault.field, fault.field[0] == '\0' ? "" : ": ", fault.reason);
            err = err == FLK_E_TOO_LARGE ? FLK_E_INVALID : err;
        }
    }
    free(pcs);
    if (err != FLK_OK) {
        flk_parcel_destroy(&parcel);
    }
    *out = parcel;
    return err;
}

void flk_parcel_destroy(flk_parcel_t **parcel) {
    if (*parcel != NULL) {
        free((*parcel)->json);
        free(*parcel);
        *parcel = NULL;
    }
}

/* Counts the attempt in the PCS itself and dates it. */
static flk_err_t renew(flk_parcel_t *parcel) {
    flk_pcs_t *pcs = malloc(sizeof *pcs);
    flk_pcs_fault_t fault;
    char *json = NULL;
    size_t json_bytes = 0;
    flk_err_t err = pcs == NULL ? FLK_E_NOMEM : flk_pcs_from_json(parcel->json, parcel->json_bytes, pcs, &fault);
    if (err == FLK_OK) {
        pcs->attempt += pcs->attempt < FLK_PCS_INTEGER_MAX;
        pcs->has_attempt = true;
        flk_sent_at_now(pcs->sent_at);
        err = flk_pcs_to_json(pcs, &json, &json_bytes);
        flk_pcs_fini(pcs);
    }
    free(pcs);
    if (err == FLK_OK) {
        free(parcel->json);
        parcel->json = json;
        parcel->json_bytes = json_bytes;
    }
    return err;
}

flk_err_t flk_parcel_begin_try(flk_parcel_t *parcel) {
    bool first = parcel->tries == 0 && !parcel->resent;
    flk_err_t err = first || parcel->ready ? FLK_OK : renew(parcel);
    if (err == FLK_OK) {
        parcel->tries++;
        parcel->try_began_ns = flk_mono_ns();
    }
    return err;
}

void flk_reply_say(flk_reply_t *reply, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(reply->text, sizeof reply->text, format, args);
    va_end(args);
    for (char *at = reply->text; *at != '\0'; at++) {
        *at = *at >= ' ' && *at <= '~' ? *at : '?';
    }
}
