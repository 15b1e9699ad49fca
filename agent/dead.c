/* SPDX-License-Identifier: MIT */
#include "agent/dead.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/send/causes.h"
#include "agent/send/outbox.h"
#include "agent/send/outbox_view.h"
#include "common/terminal.h"

enum { ID_SHOWN = 16 };

/* One pass over the dead letters. */
typedef struct pass {
    const flk_agent_options_t *options;
    flk_pcs_t pcs;
    uint64_t selected;
} pass_t;

bool flk_dead_selected(const flk_agent_options_t *options, const char *pcs_id) {
    for (size_t i = 0; i < options->ids_len; i++) {
        if (strncmp(pcs_id, options->ids[i], strlen(options->ids[i])) == 0) {
            return true;
        }
    }
    return options->ids_len == 0;
}

static bool read_pcs(pass_t *pass, const flk_outbox_item_t *item) {
    flk_pcs_fault_t fault;
    return flk_pcs_from_json(item->json, item->json_bytes, &pass->pcs, &fault) == FLK_OK;
}

static void list_json(const pass_t *pass, bool is_pcs, const flk_outbox_item_t *item, const char *reason) {
    if (is_pcs) {
        printf("{\"pcs_id\":\"%s\",\"shard_id\":\"%s\",\"epoch\":%llu,", pass->pcs.id, pass->pcs.shard_id,
               (unsigned long long)pass->pcs.epoch);
    } else {
        printf("{\"pcs_id\":null,\"shard_id\":null,\"epoch\":null,");
    }
    printf("\"outbox_seq\":%llu,\"age_s\":%.3f,\"reason\":", (unsigned long long)item->lsn, item->age_s);
    flk_quoted_print(reason, stdout);
    printf("}\n");
}

static void list_text(const pass_t *pass, bool is_pcs, const flk_outbox_item_t *item, const char *reason) {
    char line[FLK_ERRMSG_BYTES + 64];
    int len = snprintf(line, sizeof line, "%-*.*s  %8.0f s  %s", ID_SHOWN, ID_SHOWN, is_pcs ? pass->pcs.id : "(no PCS)",
                       item->age_s, reason);
    unsigned columns = flk_terminal_columns(STDOUT_FILENO); /* 0: no terminal, the whole line */
    printf("%.*s\n", columns > 0 && columns < (unsigned)len ? (int)columns : len, line);
}

static void show_json(bool is_pcs, const flk_outbox_item_t *item, const char *reason) {
    printf("{\"reason\":");
    flk_quoted_print(reason, stdout);
    printf(",\"pcs\":%.*s}\n", is_pcs ? (int)item->json_bytes : 4, is_pcs ? item->json : "null");
}

static void show_text(const flk_outbox_item_t *item, const char *reason) {
    printf("# %s\n%.*s\n", reason, (int)item->json_bytes, item->json);
}

static void print_item(const pass_t *pass, bool is_pcs, const flk_outbox_item_t *item) {
    char reason[FLK_ERRMSG_BYTES + 32];
    snprintf(reason, sizeof reason, "%.*s", (int)item->reason_bytes, item->reason);
    bool json = pass->options->json;
    if (pass->options->verb == FLK_DEAD_SHOW) {
        json ? show_json(is_pcs, item, reason) : show_text(item, reason);
    } else {
        (json ? list_json : list_text)(pass, is_pcs, item, reason);
    }
}

static bool visit_letter(void *arg, const flk_outbox_item_t *item) {
    pass_t *pass = arg;
    bool is_pcs = read_pcs(pass, item);
    if (flk_dead_selected(pass->options, is_pcs ? pass->pcs.id : "")) {
        pass->selected++;
        print_item(pass, is_pcs, item);
    }
    if (is_pcs) {
        flk_pcs_fini(&pass->pcs);
    }
    return true;
}

static flk_err_t print_letters(pass_t *pass, const flk_settings_t *settings, char *errmsg) {
    flk_outbox_view_t *view = NULL;
    flk_err_t err = flk_outbox_view_new(settings, "outbox-dlq", &view, errmsg);
    if (err == FLK_OK) {
        err = flk_outbox_view_visit(view, visit_letter, pass, errmsg);
    }
    flk_outbox_view_destroy(&view);
    return err;
}

static bool select_id(void *arg, const char *pcs_id) {
    const pass_t *pass = arg;
    return flk_dead_selected(pass->options, pcs_id);
}

static flk_err_t purge_letters(pass_t *pass, const flk_settings_t *settings, char *errmsg) {
    flk_outbox_t *outbox = NULL;
    flk_err_t err = flk_outbox_open(settings, FLK_OUTBOX_DEAD, &outbox, errmsg);
    if (err == FLK_OK) {
        err = flk_outbox_purge(outbox, select_id, pass, &pass->selected, errmsg);
    }
    flk_outbox_close(&outbox);
    if (err == FLK_OK) {
        printf(pass->options->json ? "{\"purged\":%llu}\n" : "%llu dead letters purged\n",
               (unsigned long long)pass->selected);
    }
    return err;
}

int flk_dead_run(const flk_agent_options_t *options, const flk_settings_t *settings) {
    pass_t *pass = flk_start_alloc(sizeof *pass);
    char errmsg[FLK_ERRMSG_BYTES] = "";
    pass->options = options;
    flk_err_t err = (options->verb == FLK_DEAD_PURGE ? purge_letters : print_letters)(pass, settings, errmsg);
    bool found = pass->selected > 0 || options->ids_len == 0;
    free(pass);
    if (err != FLK_OK) {
        fprintf(stderr, "flk-agent: %s\n", errmsg);
        return FLK_EXIT_FAILED;
    }
    if (!found) {
        fprintf(stderr, "flk-agent: no dead letter has that id; flk-agent dead list shows them\n");
    }
    return found ? FLK_EXIT_OK : FLK_EXIT_UNDELIVERED;
}
