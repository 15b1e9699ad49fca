/* SPDX-License-Identifier: MIT */
/* flk-replay. Reading order: options, filter, journal, print; inspect, verify, audit; own, resend, submit; order, dlq.
 */
#include <stdio.h>

#include "gateway/replay/verbs.h"

/* The dead-letter queue holds the un-acked records of its log, all of them for the same reason. */
static void narrow_to_queue(flk_filter_t *filter) {
    filter->unacked = filter->status == 0;
    if (filter->reasons & 1u << FLK_REASON_DEAD_LETTER) {
        filter->reasons = 0;
    }
}

static int run_verb(flk_replay_options_t *options, const flk_settings_t *settings, const char *dir) {
    if (flk_verb_is_dlq(options->verb)) {
        narrow_to_queue(&options->filter);
    }
    switch (options->verb) {
    case FLK_VERB_LIST:
    case FLK_VERB_EXPORT:
    case FLK_VERB_DLQ_LIST:
        return flk_replay_list(options, dir);
    case FLK_VERB_SHOW:
    case FLK_VERB_DLQ_SHOW:
        return flk_replay_show(options, dir);
    case FLK_VERB_VERIFY:
        return flk_replay_verify(options, dir);
    case FLK_VERB_STATS:
        return flk_replay_stats(options, dir);
    case FLK_VERB_AUDIT:
        return flk_replay_audit(options, settings, dir);
    case FLK_VERB_REPLAY:
    case FLK_VERB_HANDOVER:
        return flk_replay_submit(options, settings, dir);
    case FLK_VERB_DLQ_PURGE:
    case FLK_VERB_DLQ_REPLAY:
        return flk_replay_dlq(options, dir);
    }
    FLK_ASSERT(false); /* every verb has a case */
}

int main(int argc, char **argv) {
    flk_replay_options_t options;
    flk_program_begin();
    int status = flk_replay_options_parse(argc, argv, &options);
    if (status >= 0) {
        return status;
    }
    char errmsg[FLK_ERRMSG_BYTES], dir[4096];
    flk_settings_t *settings;
    if (flk_settings_load(FLK_PROGRAM_REPLAY, &settings, errmsg) != FLK_OK) {
        (void)!flk_replay_failed(errmsg);
        return FLK_EXIT_USAGE;
    }
    if (options.dir == NULL) {
        snprintf(dir, sizeof dir, "%s/%s", flk_settings_str(settings, FLK_SET_DATA_DIR),
                 flk_verb_is_dlq(options.verb) ? "dlq" : "inbox");
    }
    status = run_verb(&options, settings, options.dir != NULL ? options.dir : dir);
    flk_settings_destroy(&settings);
    return status;
}
