/* SPDX-License-Identifier: MIT */
#include "agent/send/parcel.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/signals/builder.h"

flk_err_t flk_parcel_new(const void *json, size_t json_bytes, flk_parcel_t **out, char *errmsg) {
    flk_parcel_t *parcel = calloc(1, sizeof *parcel);
    char *copy = malloc(json_bytes);
    flk_pcs_fault_t fault = {.reason = "out of memory"};
    flk_err_t err = FLK_E_NOMEM;
    if (parcel != NULL && copy != NULL) {
        err = flk_pcs_from_json(json, json_bytes, &parcel->pcs, &fault);
    }
    if (err != FLK_OK) {
        flk_errmsg(errmsg, "%s%s%s", fault.field, fault.field[0] == '\0' ? "" : ": ", fault.reason);
        free(parcel);
        free(copy);
        return err == FLK_E_TOO_LARGE ? FLK_E_INVALID : err;
    }
    memcpy(copy, json, json_bytes);
    parcel->json = copy;
    parcel->json_bytes = json_bytes;
    *out = parcel;
    return FLK_OK;
}

void flk_parcel_destroy(flk_parcel_t **parcel) {
    if (*parcel != NULL) {
        flk_pcs_fini(&(*parcel)->pcs);
        free((*parcel)->json);
        free(*parcel);
        *parcel = NULL;
    }
}

static flk_err_t write_json(flk_parcel_t *parcel) {
    char *json;
    size_t json_bytes;
    flk_err_t err = flk_pcs_to_json(&parcel->pcs, &json, &json_bytes);
    if (err == FLK_OK) {
        free(parcel->json);
        parcel->json = json;
        parcel->json_bytes = json_bytes;
    }
    return err;
}

static flk_err_t stamp_pcs(flk_parcel_t *parcel) {
    flk_pcs_t *pcs = &parcel->pcs;
    if (!pcs->has_outbox_seq) {
        pcs->has_ft = pcs->has_outbox_seq = true;
        pcs->outbox_seq = parcel->lsn;
    }
    if (parcel->tries > 0 || parcel->resent) {
        pcs->attempt += pcs->attempt < FLK_PCS_INTEGER_MAX;
        flk_sent_at_now(pcs->sent_at);
    }
    return write_json(parcel);
}

flk_err_t flk_parcel_sign(flk_parcel_t *parcel, const flk_signer_t *signer) {
    flk_signer_sign(signer, &parcel->pcs);
    return write_json(parcel);
}

flk_err_t flk_parcel_begin_try(flk_parcel_t *parcel) {
    flk_err_t err = parcel->ready ? FLK_OK : stamp_pcs(parcel);
    if (err == FLK_OK) {
        parcel->tries++;
        parcel->try_began_ns = flk_mono_ns();
    }
    return err;
}
