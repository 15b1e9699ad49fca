/* SPDX-License-Identifier: MIT */
#include "agent/flk/doctor/findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/flk/json_out.h"
#include "agent/flk/style.h"
#include "common/address.h"

static const char *level_name(flk_finding_level_t level) {
    static const char *const names[] = {"ok", "note", "fault"};
    return names[level];
}

void flk_findings_add(flk_findings_t *findings, const char *check, flk_finding_level_t level, const char *advice,
                      const char *format, ...) {
    if (findings->len == findings->max) {
        findings->max = findings->max == 0 ? 32 : 2 * findings->max;
        findings->items = reallocarray(findings->items, findings->max, sizeof *findings->items);
        FLK_ASSERT(findings->items != NULL);
    }
    flk_finding_t *finding = &findings->items[findings->len++];
    *finding = (flk_finding_t){.check = check, .level = level, .advice = advice};
    va_list args;
    va_start(args, format);
    vsnprintf(finding->text, sizeof finding->text, format, args);
    va_end(args);
    flk_address_hide_users(finding->text);
}

size_t flk_findings_count(const flk_findings_t *findings, flk_finding_level_t level) {
    size_t count = 0;
    for (size_t i = 0; i < findings->len; i++) {
        count += findings->items[i].level == level;
    }
    return count;
}

void flk_findings_fini(flk_findings_t *findings) {
    free(findings->items);
    *findings = (flk_findings_t){0};
}

static void print_json(const flk_findings_t *findings) {
    json_t *list = json_array();
    for (size_t i = 0; i < findings->len; i++) {
        const flk_finding_t *finding = &findings->items[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:s}", "check", finding->check, "level",
                                        level_name(finding->level), "text", finding->text, "advice", finding->advice));
    }
    flk_json_out(json_pack("{s:b, s:I, s:I, s:o}", "well", flk_findings_count(findings, FLK_FINDING_FAULT) == 0,
                           "faults", (json_int_t)flk_findings_count(findings, FLK_FINDING_FAULT), "notes",
                           (json_int_t)flk_findings_count(findings, FLK_FINDING_NOTE), "findings", list));
}

static void print_text(const flk_findings_t *findings) {
    flk_style_t style = flk_style_for(stdout);
    const char *const signs[] = {"✓", "!", "✗"}, *const colours[] = {style.green, style.yellow, style.red};
    for (size_t i = 0; i < findings->len; i++) {
        const flk_finding_t *finding = &findings->items[i];
        printf("  %s%s%s %-8s %s\n", colours[finding->level], signs[finding->level], style.end, finding->check,
               finding->text);
        if (finding->advice[0] != '\0') {
            printf("    %s-> %s%s\n", style.dim, finding->advice, style.end);
        }
    }
    printf("\n%zu faults, %zu notes\n", flk_findings_count(findings, FLK_FINDING_FAULT),
           flk_findings_count(findings, FLK_FINDING_NOTE));
}

void flk_findings_print(const flk_findings_t *findings, bool json) {
    (json ? print_json : print_text)(findings);
}
