/* SPDX-License-Identifier: MIT */
#include "common/err.h"

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
