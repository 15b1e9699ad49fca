/* SPDX-License-Identifier: MIT */
/* The grammar of the policy language. Each rule appends the items of source.h. Lists are left-recursive, so the stack
 * stays small however long the text is. */

%define api.pure full
%define api.prefix {flk_policy_yy}
%define api.push-pull pull
%define parse.error custom
%define parse.lac full
%locations
%param { void *scanner }
%parse-param { flk_scan_t *scan }

%code requires {
#include "common/pcs/policy/scan_state.h"
}

%union {
    double number;
    uint32_t code;
    char text[FLK_ITEM_TEXT_BYTES];
}

%code {
#include <string.h>

#include "scan.h"

static void flk_policy_yyerror(YYLTYPE *place, void *scanner, flk_scan_t *scan, const char *text);

#define ITEM(kind, at) flk_scan_item(scan, kind, (at).first_line, (at).first_column)

/* A number that the grammar has one value for. */
#define WANT(value, wanted, at, name)                                                                                  \
    do {                                                                                                               \
        if ((value) != (wanted)) {                                                                                     \
            (void)flk_place_fault((flk_place_t){(at).first_line, (at).first_column}, scan->errmsg,                     \
                                  "another number, expected " name);                                                   \
            YYABORT;                                                                                                   \
        }                                                                                                              \
    } while (0)
}

%token POLICY "policy" TOLERANCE "tolerance" MEDIAN "median" MEAN "mean" UPPER "upper"
%token REGIME "regime" STICKY "sticky" NON_STICKY "non_sticky" MIXED "mixed" OTHERWISE "otherwise"
%token WHEN "when" AND "and" OR "or" NOT "not" KEEP "keep" ESCALATE "escalate" FOR "for" SHARD "shard"
%token MAX "max" BUDGET "budget" D_HAT "D_hat" COH_STAR "coh_star" R "r"
%token RESIDUAL_SPREAD "residual_spread" SCALE_COUNT "scale_count" DEGRADED "degraded"
%token <code> UNIT "seconds, minutes, hours, days" COMPARE "a comparison"
%token <number> NUMBER "a number"
%token <text> TEXT "a name in quotes"
%token STRANGE "no word of the language"
%token END 0 "the end"

%type <code> bounded signal
%type <number> signed

%%

policy:
    POLICY TEXT { memcpy(ITEM(FLK_ITEM_POLICY, @1)->text, $2, FLK_ITEM_TEXT_BYTES); } statements
    ;

statements:
    %empty
    | statements statement
    | statements KEEP NUMBER UNIT {
        flk_policy_item_t *item = ITEM(FLK_ITEM_KEEP, @2);
        item->number = $3;
        item->code = $4;
    }
    | statements FOR SHARD TEXT { memcpy(ITEM(FLK_ITEM_SHARD, @2)->text, $4, FLK_ITEM_TEXT_BYTES); }
      '{' block '}' { (void)ITEM(FLK_ITEM_END, @8); }
    ;

block:
    %empty
    | block statement
    ;

statement:
    TOLERANCE bounded NUMBER {
        flk_policy_item_t *item = ITEM(FLK_ITEM_TOLERANCE, @1);
        item->code = $2;
        item->number = $3;
    }
    | MEDIAN MEAN { ITEM(FLK_ITEM_MEDIAN, @1)->code = FLK_MEDIAN_MEAN; }
    | MEDIAN UPPER { ITEM(FLK_ITEM_MEDIAN, @1)->code = FLK_MEDIAN_UPPER; }
    | REGIME STICKY WHEN COH_STAR at_least NUMBER AND D_HAT at_most NUMBER {
        flk_policy_item_t *item = ITEM(FLK_ITEM_STICKY, @1);
        item->number = $6;
        item->second = $10;
    }
    | REGIME NON_STICKY WHEN D_HAT at_least NUMBER { ITEM(FLK_ITEM_NON_STICKY, @1)->number = $6; }
    | REGIME MIXED OTHERWISE { (void)ITEM(FLK_ITEM_MIXED, @1); }
    | BUDGET '=' { (void)ITEM(FLK_ITEM_BUDGET, @1); } weights
    | ESCALATE TEXT WHEN {
        memcpy(ITEM(FLK_ITEM_ESCALATE, @1)->text, $2, FLK_ITEM_TEXT_BYTES);
        scan->alternative = 0;
    } alternatives
    ;

bounded:
    D_HAT { $$ = FLK_TERM_tol_d; }
    | COH_STAR { $$ = FLK_TERM_tol_coh; }
    | BUDGET { $$ = FLK_TERM_tol_budget; }
    ;

at_least: COMPARE { WANT($1, FLK_AT_LEAST, @1, ">="); } ;
at_most: COMPARE { WANT($1, FLK_AT_MOST, @1, "<="); } ;

weights:
    weight
    | weights '+' weight
    ;

weight:
    NUMBER {
        flk_policy_item_t *item = ITEM(FLK_ITEM_WEIGHT, @1);
        item->code = FLK_TERM_base;
        item->number = $1;
    }
    | NUMBER '*' '(' NUMBER '-' R ')' {
        WANT($4, 1, @4, "1");
        flk_policy_item_t *item = ITEM(FLK_ITEM_WEIGHT, @1);
        item->code = FLK_TERM_alpha;
        item->number = $1;
    }
    | NUMBER '*' MAX '(' NUMBER ',' D_HAT '-' NUMBER ')' {
        WANT($5, 0, @5, "0");
        flk_policy_item_t *item = ITEM(FLK_ITEM_WEIGHT, @1);
        item->code = FLK_TERM_beta;
        item->number = $1;
        item->second = $9;
    }
    | NUMBER '*' COH_STAR {
        flk_policy_item_t *item = ITEM(FLK_ITEM_WEIGHT, @1);
        item->code = FLK_TERM_gamma;
        item->number = $1;
    }
    ;

alternatives:
    conditions
    | alternatives OR { scan->alternative++; } conditions
    ;

conditions:
    condition
    | conditions AND condition
    ;

condition:
    signal COMPARE signed {
        flk_policy_item_t *item = ITEM(FLK_ITEM_CONDITION, @1);
        item->signal = (uint8_t)$1;
        item->code = $2;
        item->number = $3;
        item->alternative = scan->alternative;
    }
    | DEGRADED {
        flk_policy_item_t *item = ITEM(FLK_ITEM_CONDITION, @1);
        item->signal = FLK_SIGNAL_DEGRADED;
        item->code = FLK_EQUAL;
        item->number = 1;
        item->alternative = scan->alternative;
    }
    | NOT DEGRADED {
        flk_policy_item_t *item = ITEM(FLK_ITEM_CONDITION, @1);
        item->signal = FLK_SIGNAL_DEGRADED;
        item->code = FLK_EQUAL;
        item->alternative = scan->alternative;
    }
    ;

signal:
    D_HAT { $$ = FLK_SIGNAL_D_HAT; }
    | COH_STAR { $$ = FLK_SIGNAL_COH_STAR; }
    | R { $$ = FLK_SIGNAL_R; }
    | BUDGET { $$ = FLK_SIGNAL_BUDGET; }
    | RESIDUAL_SPREAD { $$ = FLK_SIGNAL_RESIDUAL_SPREAD; }
    | SCALE_COUNT { $$ = FLK_SIGNAL_SCALE_COUNT; }
    ;

signed:
    NUMBER
    | '-' NUMBER { $$ = $2 == 0 ? 0 : -$2; }
    ;

%%

static int yyreport_syntax_error(const yypcontext_t *context, void *scanner, flk_scan_t *scan) {
    enum { EXPECTED_MAX = 16 };
    yysymbol_kind_t kinds[EXPECTED_MAX];
    const char *names[EXPECTED_MAX];
    const YYLTYPE *at = yypcontext_location(context);
    int len = yypcontext_expected_tokens(context, kinds, EXPECTED_MAX);
    (void)scanner;
    for (int i = 0; i < len; i++) {
        names[i] = yysymbol_name(kinds[i]);
    }
    flk_scan_unexpected(scan, (flk_place_t){at->first_line, at->first_column},
                        yypcontext_token(context) == YYSYMBOL_YYEOF, names, len > 0 ? (size_t)len : 0);
    return 0;
}

/* Bison's own words: only that its stack is too small, which lists cannot make it. */
static void flk_policy_yyerror(YYLTYPE *place, void *scanner, flk_scan_t *scan, const char *text) {
    (void)scanner;
    (void)flk_place_fault((flk_place_t){place->first_line, place->first_column}, scan->errmsg, "%s", text);
}

flk_err_t flk_policy_parse(const char *text, size_t text_bytes, flk_policy_source_t *source, char *errmsg) {
    char copy[FLK_POLICY_TEXT_BYTES_MAX + 2]; /* flex wants two NULs behind the text */
    flk_scan_t scan = {.line = 1, .column = 1, .source = source, .errmsg = errmsg};
    yyscan_t scanner;
    FLK_ASSERT(text_bytes <= FLK_POLICY_TEXT_BYTES_MAX);
    memcpy(copy, text, text_bytes);
    copy[text_bytes] = copy[text_bytes + 1] = '\0';
    source->items_len = 0;
    FLK_ASSERT(flk_policy_yylex_init_extra(&scan, &scanner) == 0);
    FLK_ASSERT(flk_policy_yy_scan_buffer(copy, text_bytes + 2, scanner) != NULL);
    const bool whole = flk_policy_yyparse(scanner, &scan) == 0;
    flk_policy_yylex_destroy(scanner);
    if (whole && scan.too_long.line > 0) {
        return flk_place_fault(scan.too_long, errmsg, "a number of more than %d digits, or more than %d words",
                               FLK_SCAN_DIGITS_MAX, FLK_SOURCE_ITEMS_MAX);
    }
    return whole ? FLK_OK : FLK_E_CONFIG;
}
