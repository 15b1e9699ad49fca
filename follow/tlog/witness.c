/* SPDX-License-Identifier: MIT */
/* POST URL/add-checkpoint with the size that the witness had last, the proof from there and the note. 200 brings its
 * cosignature. 409 brings the size that it really has, and the request is made once more from there; when it has more
 * leaves than the log, or another tree of that size, the log was rolled back or forked, here or there. */
#include "follow/tlog/witness.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

#define ADD_CHECKPOINT "/add-checkpoint"

enum { TIMEOUT_MS = 5000, CONNECT_MS = 2000, ANSWER_BYTES = 8192, URL_BYTES = 512, LABEL_BYTES = 320 };
enum { OK = 200, CONFLICT = 409 };

typedef struct witness {
    char url[URL_BYTES]; /* with /add-checkpoint */
    flk_note_key_t key;
    uint64_t size; /* that it had last, as far as we know */
    char label[LABEL_BYTES];
    flk_counter_t *cosigned, *refused;
} witness_t;

struct flk_witnesses {
    CURL *curl;
    struct curl_slist *headers;
    size_t len;
    witness_t each[FLK_WITNESSES_MAX];
};

typedef struct reply {
    long status; /* 0: none */
    size_t bytes;
    char text[ANSWER_BYTES];
} reply_t;

/* ---- settings ---- */

static flk_err_t wrong(const char *fault, char *errmsg) {
    flk_errmsg(errmsg, "FLK_TLOG_WITNESSES: %s; it is url=vkey,…", fault);
    return FLK_E_CONFIG;
}

static flk_err_t parse_one(const char *text, size_t text_bytes, witness_t *witness, char *errmsg) {
    char item[URL_BYTES + FLK_NOTE_KEY_TEXT_BYTES];
    int bytes = snprintf(item, sizeof item, "%.*s", (int)text_bytes, text);
    char *equals = bytes < (int)sizeof item ? strchr(item, '=') : NULL;
    if (equals == NULL) {
        return wrong("an item is too long, or has no =", errmsg);
    }
    *equals = '\0';
    if (strncmp(item, "http://", strlen("http://")) != 0 && strncmp(item, "https://", strlen("https://")) != 0) {
        return wrong("a url begins with http:// or https://", errmsg);
    }
    size_t url_bytes = strlen(item);
    url_bytes -= item[url_bytes - 1] == '/';
    if (url_bytes + sizeof ADD_CHECKPOINT > sizeof witness->url) {
        return wrong("a url is too long", errmsg);
    }
    memcpy(witness->url, item, url_bytes);
    memcpy(witness->url + url_bytes, ADD_CHECKPOINT, sizeof ADD_CHECKPOINT);
    flk_err_t err = flk_note_key_parse(equals + 1, &witness->key, errmsg);
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, "FLK_TLOG_WITNESSES");
        return FLK_E_CONFIG;
    }
    return witness->key.alg == FLK_NOTE_COSIGNATURE ? FLK_OK : wrong("a vkey is not a witness's (type 0x04)", errmsg);
}

static void register_metrics(witness_t *witness, flk_metrics_t *metrics) {
    char name[FLK_NOTE_NAME_BYTES];
    memcpy(name, witness->key.name, sizeof name);
    snprintf(witness->label, sizeof witness->label, "witness=\"%s\"", name);
    witness->cosigned = flk_metrics_counter(metrics, "flk_tlog_cosignatures_total", witness->label,
                                            "Checkpoints that the witness has cosigned.");
    witness->refused = flk_metrics_counter(metrics, "flk_tlog_witness_refusals_total", witness->label,
                                           "Checkpoints that the witness refused, or did not answer to.");
}

static flk_err_t parse_list(flk_witnesses_t *witnesses, const char *list, flk_metrics_t *metrics, char *errmsg) {
    flk_err_t err = FLK_OK;
    for (const char *at = list; err == FLK_OK && *at != '\0';) {
        size_t len = strcspn(at, ",");
        if (witnesses->len == FLK_WITNESSES_MAX) {
            return wrong("there are more than 16", errmsg);
        }
        witness_t *witness = &witnesses->each[witnesses->len++];
        err = parse_one(at, len, witness, errmsg);
        if (err == FLK_OK && (strchr(witness->key.name, '"') != NULL || strchr(witness->key.name, '\\') != NULL)) {
            err = wrong("a witness's name has a quote or a backslash", errmsg);
        }
        if (err == FLK_OK) {
            register_metrics(witness, metrics);
        }
        at += len + (at[len] == ',');
    }
    return err;
}

static size_t on_data(char *data, size_t unit, size_t count, void *arg) {
    reply_t *reply = arg;
    size_t bytes = unit * count;
    if (bytes >= ANSWER_BYTES - reply->bytes) {
        return 0;
    }
    memcpy(reply->text + reply->bytes, data, bytes);
    reply->bytes += bytes;
    reply->text[reply->bytes] = '\0';
    return bytes;
}

flk_err_t flk_witnesses_new(const char *list, flk_metrics_t *metrics, flk_witnesses_t **out, char *errmsg) {
    flk_witnesses_t *witnesses = flk_start_alloc(sizeof *witnesses);
    flk_err_t err = parse_list(witnesses, list, metrics, errmsg);
    if (err == FLK_OK && witnesses->len > 0) {
        witnesses->curl = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_easy_init() : NULL;
        witnesses->headers = curl_slist_append(NULL, "Content-Type: text/plain; charset=utf-8");
        err = witnesses->curl != NULL && witnesses->headers != NULL ? FLK_OK : FLK_E_NOMEM;
    }
    if (err != FLK_OK) {
        flk_witnesses_destroy(&witnesses);
        return err;
    }
    *out = witnesses;
    return FLK_OK;
}

void flk_witnesses_destroy(flk_witnesses_t **out) {
    flk_witnesses_t *witnesses = *out;
    *out = NULL;
    if (witnesses != NULL) {
        curl_slist_free_all(witnesses->headers);
        curl_easy_cleanup(witnesses->curl);
        free(witnesses);
    }
}

size_t flk_witnesses_len(const flk_witnesses_t *witnesses) {
    return witnesses->len;
}

/* ---- a request ---- */

/* The body: old size, proof, empty line, note. NULL: errmsg tells. Caller frees with free(). */
static char *make_body(const witness_t *witness, flk_tlog_log_t *log, const flk_tlog_signed_t *made, size_t *body_bytes,
                       char *errmsg) {
    flk_tlog_proof_t proof;
    char hash[FLK_TLOG_HASH_BASE64_BYTES], *body;
    if (flk_tlog_log_consistency(log, witness->size, made->checkpoint.size, &proof, errmsg) != FLK_OK) {
        return NULL;
    }
    FILE *out = open_memstream(&body, body_bytes);
    if (out == NULL) {
        flk_errmsg(errmsg, "out of memory");
        return NULL;
    }
    fprintf(out, "old %" PRIu64 "\n", witness->size);
    for (size_t i = 0; i < proof.len; i++) {
        flk_tlog_hash_print(&proof.hashes[i], hash);
        fprintf(out, "%s\n", hash);
    }
    fputc('\n', out);
    fwrite(made->note, 1, made->note_bytes, out);
    if (fclose(out) != 0) {
        flk_errmsg(errmsg, "out of memory");
        free(body);
        return NULL;
    }
    return body;
}

static void post(flk_witnesses_t *witnesses, const witness_t *witness, const char *body, size_t body_bytes,
                 reply_t *reply, char *errmsg) {
    CURL *curl = witnesses->curl;
    curl_easy_setopt(curl, CURLOPT_URL, witness->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "flk-follow/" FLK_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, witnesses->headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
    CURLcode code = curl_easy_perform(curl);
    if (code == CURLE_OK) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply->status);
    } else {
        flk_errmsg(errmsg, "%s", curl_easy_strerror(code));
    }
}

/* Adds the witness's own line of the answer to the note, once the whole verifies. */
static bool add_cosignature(const witness_t *witness, const reply_t *reply, flk_tlog_signed_t *made, char *errmsg) {
    flk_note_t note;
    size_t bytes = made->note_bytes + reply->bytes;
    if (bytes > sizeof made->note) {
        flk_errmsg(errmsg, "the note has no room for its answer");
        return false;
    }
    memcpy(made->note + made->note_bytes, reply->text, reply->bytes);
    if (flk_note_parse(made->note, bytes, &note, errmsg) != FLK_OK ||
        flk_note_verify(&note, &witness->key, NULL, errmsg) != FLK_OK) {
        return false;
    }
    made->note_bytes = bytes;
    return true;
}

static bool parse_size(const reply_t *reply, uint64_t *size) {
    return flk_tlog_number_parse(reply->text, strcspn(reply->text, "\r\n"), size);
}

/* One request, with the answer in `reply`; false: there is none. */
static bool request(flk_witnesses_t *witnesses, const witness_t *witness, flk_tlog_log_t *log,
                    const flk_tlog_signed_t *made, reply_t *reply, char *errmsg) {
    size_t body_bytes;
    *reply = (reply_t){.status = 0};
    char *body = make_body(witness, log, made, &body_bytes, errmsg);
    if (body == NULL) {
        return false;
    }
    post(witnesses, witness, body, body_bytes, reply, errmsg);
    free(body);
    return reply->status != 0;
}

static bool cosign(flk_witnesses_t *witnesses, witness_t *witness, flk_tlog_log_t *log, flk_tlog_signed_t *made,
                   char *errmsg) {
    reply_t reply;
    uint64_t size;
    if (witness->size > made->checkpoint.size) {
        witness->size = 0;
    }
    if (!request(witnesses, witness, log, made, &reply, errmsg)) {
        return false;
    }
    if (reply.status == CONFLICT && parse_size(&reply, &size) && size != witness->size) {
        if (size > made->checkpoint.size) {
            flk_errmsg(errmsg, "it has cosigned %" PRIu64 " leaves, and this log has %" PRIu64 ": it was rolled back",
                       size, made->checkpoint.size);
            return false;
        }
        witness->size = size;
        if (!request(witnesses, witness, log, made, &reply, errmsg)) {
            return false;
        }
    }
    if (reply.status != OK) {
        flk_errmsg(errmsg, "it answers %ld%s", reply.status,
                   reply.status == CONFLICT ? ": it has another tree of this size"
                   : reply.status == 422    ? ": the log does not continue its last checkpoint"
                   : reply.status == 404    ? ": it does not know this log's origin"
                   : reply.status == 403    ? ": it does not know this log's key"
                                            : "");
        return false;
    }
    if (!add_cosignature(witness, &reply, made, errmsg)) {
        return false;
    }
    witness->size = made->checkpoint.size;
    return true;
}

size_t flk_witnesses_ask(flk_witnesses_t *witnesses, flk_tlog_log_t *log, flk_tlog_signed_t *made) {
    size_t cosigned = 0;
    for (size_t i = 0; i < witnesses->len; i++) {
        witness_t *witness = &witnesses->each[i];
        char errmsg[FLK_ERRMSG_BYTES] = "";
        if (cosign(witnesses, witness, log, made, errmsg)) {
            flk_counter_add(witness->cosigned, 1);
            cosigned++;
        } else {
            flk_counter_add(witness->refused, 1);
            flk_log(FLK_LOG_WARN, "witness_refused", FLK_S("witness", witness->key.name), FLK_S("error", errmsg));
        }
    }
    return cosigned;
}
