/* SPDX-License-Identifier: MIT */
/* flk-agent. Reading order: options; read/ (row, reader); signals/ (window, builder, and its parts boxcount, coherence,
 * compress, merkle); source, compute; send/ (parcel, outbox, outbox_view, reply, transport, delivery_loop, report);
 * submit; status, dead. */
#include <stdio.h>

#include "agent/check.h"
#include "agent/compute.h"
#include "agent/dead.h"
#include "agent/status.h"
#include "agent/submit.h"

static flk_err_t make_signer(const flk_settings_t *settings, flk_signer_t **signer, char *errmsg) {
    flk_sign_alg_t alg;
    FLK_ASSERT(flk_sign_alg_parse(flk_settings_str(settings, FLK_SET_SIGN_ALG), &alg));
    return flk_signer_new(alg, flk_settings_str(settings, FLK_SET_HMAC_KEY),
                          flk_settings_str(settings, FLK_SET_ED25519_SECRET), signer, errmsg);
}

static int run_command(const flk_agent_options_t *options, const flk_settings_t *settings, const flk_signer_t *signer) {
    switch (options->command) {
    case FLK_COMMAND_COMPUTE:
        return flk_compute_run(options, signer);
    case FLK_COMMAND_SUBMIT:
    case FLK_COMMAND_DRAIN:
        return flk_submit_run(options, settings, signer);
    case FLK_COMMAND_STATUS:
        return flk_status_run(options, settings);
    case FLK_COMMAND_CHECK:
        return flk_check_run(options, settings);
    case FLK_COMMAND_DEAD:
        return options->verb == FLK_DEAD_RESIGN ? flk_submit_run(options, settings, signer)
                                                : flk_dead_run(options, settings);
    }
    FLK_ASSERT(false); /* every command has a case */
}

int main(int argc, char **argv) {
    flk_agent_options_t options;
    flk_program_begin();
    int status = flk_agent_options_parse(argc, argv, &options);
    if (status >= 0) {
        return status;
    }
    char errmsg[FLK_ERRMSG_BYTES];
    flk_settings_t *settings = NULL;
    flk_signer_t *signer = NULL;
    flk_program_catch_stop();
    if (flk_settings_load(FLK_PROGRAM_AGENT, &settings, errmsg) != FLK_OK ||
        make_signer(settings, &signer, errmsg) != FLK_OK) {
        fprintf(stderr, "flk-agent: %s\n", errmsg);
        status = FLK_EXIT_USAGE;
    } else {
        flk_program_start_log(settings);
        status = run_command(&options, settings, signer);
    }
    flk_signer_destroy(&signer);
    flk_settings_destroy(&settings);
    return status;
}
