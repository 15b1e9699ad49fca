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

flk_reply_kind_t flk_reply_kind_of(unsigned status, bool ours) {
    switch (status) {
    case FLK_STATUS_ACCEPTED:
    case FLK_STATUS_ESCALATED:
        return FLK_REPLY_VERDICT;
    case 400:
    case FLK_STATUS_BAD_SIGNATURE:
    case 413:
        return ours ? FLK_REPLY_REFUSED : FLK_REPLY_LATER;
    case 404:
    case 405:
        return ours ? FLK_REPLY_MISPLACED : FLK_REPLY_LATER;
    default:
        return FLK_REPLY_LATER;
    }
}
