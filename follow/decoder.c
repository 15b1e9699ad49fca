/* SPDX-License-Identifier: MIT */
#include "follow/decoder.h"

#include <stdlib.h>
#include <string.h>

#include "proto/body.h"
#include "proto/inbox_format.h"
#include "proto/stored_outcome.h"

struct flk_decoder {
    flk_pcs_reader_t *reader; /* of msgpack */
    bool has_pcs;             /* pcs holds heap memory */
    flk_pcs_t pcs;
    flk_pcs_fault_t fault;
    flk_outcome_record_t record;
};

flk_err_t flk_decoder_new(flk_decoder_t **out, char *errmsg) {
    flk_decoder_t *decoder = calloc(1, sizeof *decoder);
    flk_pcs_reader_t *reader = decoder != NULL ? flk_pcs_reader_new() : NULL;
    *out = decoder;
    if (reader == NULL) {
        free(decoder);
        *out = NULL;
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    decoder->reader = reader;
    return FLK_OK;
}

static void drop_pcs(flk_decoder_t *decoder) {
    if (decoder->has_pcs) {
        flk_pcs_fini(&decoder->pcs);
        decoder->has_pcs = false;
    }
}

void flk_decoder_destroy(flk_decoder_t **out) {
    flk_decoder_t *decoder = *out;
    *out = NULL;
    if (decoder == NULL) {
        return;
    }
    drop_pcs(decoder);
    flk_pcs_reader_destroy(&decoder->reader);
    free(decoder);
}

static flk_err_t read_pcs(flk_decoder_t *decoder, const flk_wal_record_t *record) {
    flk_err_t err = FLK_E_INVALID;
    drop_pcs(decoder);
    if (record->body == NULL) {
        return err;
    }
    if (record->kind == FLK_BODY_JSON) {
        err = flk_pcs_from_json(record->body, record->body_bytes, &decoder->pcs, &decoder->fault);
    } else if (record->kind == FLK_BODY_MSGPACK) {
        err = flk_pcs_from_msgpack(decoder->reader, record->body, record->body_bytes, &decoder->pcs, &decoder->fault);
    }
    decoder->has_pcs = err == FLK_OK;
    return err;
}

/* An outcome that is damaged, or of a later layout, is left out. */
static void take_outcome(flk_decoder_t *decoder, const flk_wal_ending_t *ending, flk_event_t *event) {
    if (ending->outcome_bytes > 0 && ending->has_subject &&
        flk_stored_outcome_read(ending->subject, ending->outcome, ending->outcome_bytes, &decoder->record, NULL) ==
            FLK_OK) {
        event->outcome = &decoder->record.outcome;
        event->digest = decoder->record.digest;
    }
}

static void take_ending(flk_decoder_t *decoder, const flk_wal_ending_t *ending, flk_event_t *event) {
    event->status = ending->mark.status;
    event->flags = ending->mark.flags;
    event->reasons = ending->mark.detail;
    event->key = ending->key[0] != '\0' ? ending->key : NULL;
    event->pcs_id = ending->has_subject ? ending->subject : NULL;
    take_outcome(decoder, ending, event);
}

flk_err_t flk_decoder_read(flk_decoder_t *decoder, const flk_wal_follow_item_t *item, flk_event_t *event,
                           char *errmsg) {
    const flk_wal_record_t *record = &item->record;
    FLK_ASSERT(!item->is_gap);
    *event = (flk_event_t){.log_id = item->log_id,
                           .lsn = item->lsn,
                           .record_lsn = record->lsn,
                           .time_ms = item->time_ms,
                           .received_ms = record->body != NULL ? record->time_ms : 0,
                           .kind = record->kind,
                           .body = record->body,
                           .body_bytes = record->body_bytes};
    take_ending(decoder, &item->ending, event);
    if (read_pcs(decoder, record) == FLK_E_NOMEM) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    event->pcs = decoder->has_pcs ? &decoder->pcs : NULL;
    if (event->pcs_id == NULL && decoder->has_pcs) {
        event->pcs_id = decoder->pcs.id_raw;
    }
    return FLK_OK;
}

const char *flk_decoder_gap_name(flk_wal_gap_t gap) {
    return gap == FLK_WAL_GAP_DAMAGED ? "damaged" : "retired";
}
