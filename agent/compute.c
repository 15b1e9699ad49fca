/* SPDX-License-Identifier: MIT */
#include "agent/compute.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes one PCS as a line. */
static bool print_pcs(FILE *out, const flk_source_pcs_t *pcs) {
    return fwrite(pcs->json, 1, pcs->json_bytes, out) == pcs->json_bytes && putc('\n', out) != EOF;
}

static void wait_for_input(const flk_source_t *source, FILE *out) {
    struct pollfd ready = {.fd = flk_source_fd(source), .events = POLLIN};
    fflush(out);
    (void)poll(&ready, 1, -1); /* woken by a signal, too */
}

/* FLK_E_NOT_FOUND: the input ended. */
static flk_err_t print_all(flk_source_t *source, FILE *out, char *errmsg) {
    flk_err_t err = FLK_OK;
    while (err == FLK_OK && !flk_program_stop_asked()) {
        flk_source_pcs_t pcs;
        err = flk_source_next(source, &pcs, errmsg);
        if (err == FLK_E_AGAIN) {
            wait_for_input(source, out);
            err = FLK_OK;
        } else if (err == FLK_OK) {
            bool printed = print_pcs(out, &pcs);
            free(pcs.json);
            if (!printed && !flk_program_stop_asked()) { /* a stop interrupts a write to a full pipe */
                flk_errmsg(errmsg, "cannot write the output: %s", strerror(errno));
                err = FLK_E_IO;
            }
        }
    }
    return err;
}

static int status_of(flk_err_t err) {
    switch (err) {
    case FLK_OK: /* a stop was asked for */
    case FLK_E_NOT_FOUND:
        return FLK_EXIT_OK;
    case FLK_E_CONFIG:
        return FLK_EXIT_USAGE;
    case FLK_E_INVALID:
        return FLK_EXIT_BAD_ROW;
    default:
        return FLK_EXIT_FAILED;
    }
}

static void print_summary(const flk_source_t *source) {
    flk_source_stats_t stats;
    flk_source_stats(source, &stats);
    fprintf(stderr, "flk-agent: %llu rows, %llu bad rows skipped, %llu PCS\n", (unsigned long long)stats.rows,
            (unsigned long long)stats.bad_rows, (unsigned long long)stats.pcs);
}

int flk_compute_run(const flk_agent_options_t *options, const flk_signer_t *signer) {
    FILE *out = options->out == NULL ? stdout : fopen(options->out, "we");
    if (out == NULL) {
        fprintf(stderr, "flk-agent: cannot write %s: %s\n", options->out, strerror(errno));
        return FLK_EXIT_FAILED;
    }
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_source_t *source = flk_source_new(options, signer);
    flk_err_t err = print_all(source, out, errmsg);
    if (fflush(out) != 0 || (out != stdout && fclose(out) != 0)) {
        flk_errmsg(errmsg, "cannot write the output: %s", strerror(errno));
        err = FLK_E_IO;
    }
    if (!options->quiet) {
        print_summary(source);
    }
    if (err != FLK_OK && err != FLK_E_NOT_FOUND) {
        fprintf(stderr, "flk-agent: %s\n", errmsg);
    }
    flk_source_destroy(&source);
    return status_of(err);
}
