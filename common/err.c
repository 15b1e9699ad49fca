/* SPDX-License-Identifier: MIT */
#include "common/err.h"

#include <errno.h>

static const char *const texts[] = {
#define FLK_ERR_ROW(code, text) [code] = text,
    FLK_ERRORS(FLK_ERR_ROW)
#undef FLK_ERR_ROW
};

const char *flk_err_text(flk_err_t err) {
    FLK_ASSERT((size_t)err < FLK_COUNT_OF(texts));
    return texts[err];
}

flk_err_t flk_err_at(flk_err_t err, const char *step, char *errmsg) {
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, step);
    }
    return err;
}

flk_err_t flk_err_of_listen(int code) {
    switch (code) {
    case EADDRINUSE:
        return FLK_E_LOCKED;
    case EADDRNOTAVAIL:
        return FLK_E_UNAVAILABLE;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
        return FLK_E_NOMEM;
    default:
        return FLK_E_CONFIG;
    }
}
