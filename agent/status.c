/* SPDX-License-Identifier: MIT */
#include "agent/status.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/send/causes.h"
#include "agent/send/outbox_view.h"

static bool count_cause(void *arg, const flk_outbox_item_t *item) {
    flk_causes_add(arg, item->reason, item->reason_bytes);
    return true;
}

static void print_age_json(const char *name, const flk_outbox_view_t *view) {
    if (flk_outbox_view_len(view) == 0) {
        printf("\"%s\":null,", name);
    } else {
        printf("\"%s\":%.3f,", name, flk_outbox_view_oldest_s(view));
    }
}

static void print_json(const char *data_dir, const flk_outbox_view_t *pending, const flk_outbox_view_t *dead,
                       const flk_causes_t *causes) {
    printf("{\"data_dir\":");
    flk_quoted_print(data_dir, stdout);
    printf(",\"pending\":%llu,", (unsigned long long)flk_outbox_view_len(pending));
    print_age_json("oldest_pending_s", pending);
    printf("\"dead\":%llu,", (unsigned long long)flk_outbox_view_len(dead));
    print_age_json("oldest_dead_s", dead);
    printf("\"reasons\":");
    flk_causes_print_json(causes, stdout);
    printf("}\n");
}

static void print_line(const char *name, const flk_outbox_view_t *view) {
    printf("%-14s %llu", name, (unsigned long long)flk_outbox_view_len(view));
    if (flk_outbox_view_len(view) > 0) {
        printf(", the oldest %.1f s old", flk_outbox_view_oldest_s(view));
    }
    printf("\n");
}

static void print_text(const char *data_dir, const flk_outbox_view_t *pending, const flk_outbox_view_t *dead,
                       const flk_causes_t *causes) {
    printf("%-14s %s\n", "data", data_dir);
    print_line("pending", pending);
    print_line("dead letters", dead);
    flk_causes_print(causes, "  ", "\n  ", "  ", stdout);
    if (flk_outbox_view_len(dead) > 0) {
        printf(
            "\nflk-agent dead list shows dead letters, dead resign signs and sends them anew, dead purge drops them\n");
    }
    if (flk_outbox_view_len(pending) > 0) {
        printf("flk-agent drain sends pending PCS\n");
    }
}

int flk_status_run(const flk_agent_options_t *options, const flk_settings_t *settings) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_outbox_view_t *pending = NULL, *dead = NULL;
    flk_causes_t *causes = flk_start_alloc(sizeof *causes);
    int status = FLK_EXIT_FAILED;
    if (flk_outbox_view_new(settings, "outbox", &pending, errmsg) != FLK_OK ||
        flk_outbox_view_new(settings, "outbox-dlq", &dead, errmsg) != FLK_OK ||
        flk_outbox_view_visit(dead, count_cause, causes, errmsg) != FLK_OK) {
        fprintf(stderr, "flk-agent: %s\n", errmsg);
    } else {
        (options->json ? print_json : print_text)(flk_settings_str(settings, FLK_SET_DATA_DIR), pending, dead, causes);
        bool left = flk_outbox_view_len(pending) + flk_outbox_view_len(dead) > 0;
        status = left ? FLK_EXIT_UNDELIVERED : FLK_EXIT_OK;
    }
    free(causes);
    flk_outbox_view_destroy(&pending);
    flk_outbox_view_destroy(&dead);
    return status;
}
