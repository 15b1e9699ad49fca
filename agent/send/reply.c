/* SPDX-License-Identifier: MIT */
#include "agent/send/reply.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/address.h"

void flk_reply_say(flk_reply_t *reply, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(reply->text, sizeof reply->text, format, args);
    va_end(args);
    flk_address_hide_users(reply->text);
    for (char *at = reply->text; *at != '\0'; at++) {
        *at = *at >= ' ' && *at <= '~' ? *at : '?';
    }
}

flk_reply_kind_t flk_reply_kind_of(unsigned status) {
    if (status == FLK_STATUS_ACCEPTED || status == FLK_STATUS_ESCALATED) {
        return FLK_REPLY_VERDICT;
    }
    bool passing = status == 408 || status == 425 || status == 429 || status >= 500 || status < 300;
    return passing ? FLK_REPLY_LATER : FLK_REPLY_REFUSED;
}
