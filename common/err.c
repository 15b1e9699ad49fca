/* SPDX-License-Identifier: MIT */
#include "common/err.h"

#include <errno.h>

static const struct {
    const char *name, *text;
    flk_err_class_t class;
} errors[] = {
#define FLK_ERR_ROW(code, class, text) [code] = {#code, text, class},
    FLK_ERRORS(FLK_ERR_ROW)
#undef FLK_ERR_ROW
};

static size_t index_of(flk_err_t err) {
    FLK_ASSERT((size_t)err < FLK_COUNT_OF(errors));
    return (size_t)err;
}

const char *flk_err_text(flk_err_t err) {
    return errors[index_of(err)].text;
}

const char *flk_err_name(flk_err_t err) {
    return errors[index_of(err)].name;
}

flk_err_class_t flk_err_class(flk_err_t err) {
    return errors[index_of(err)].class;
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
