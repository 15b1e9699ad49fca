/* SPDX-License-Identifier: MIT */
#include "common/pcs/policy/place.h"

#include <stdarg.h>
#include <stdio.h>

flk_err_t flk_place_fault(flk_place_t place, char *errmsg, const char *format, ...) {
    char text[FLK_ERRMSG_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (place.line > 0) {
        flk_errmsg(errmsg, "line %d, column %d: %s", place.line, place.column, text);
    } else {
        flk_errmsg(errmsg, "%s", text);
    }
    return FLK_E_CONFIG;
}
