/* SPDX-License-Identifier: MIT */
/* The one list of errors, and the meaning of an errno where that is decided once. */
#ifndef FLK_COMMON_ERR_H
#define FLK_COMMON_ERR_H

#include "common/base.h"

/* code, text */
#define FLK_ERRORS(X)                                                                                                  \
    X(FLK_OK, "ok")                                                                                                    \
    X(FLK_E_NOMEM, "out of memory")                                                                                    \
    X(FLK_E_FULL, "full")                                                                                              \
    X(FLK_E_AGAIN, "nothing to do now")                                                                                \
    X(FLK_E_TIMEOUT, "deadline passed")                                                                                \
    X(FLK_E_UNAVAILABLE, "a needed part is unavailable")                                                               \
    X(FLK_E_CLOSED, "closed or shutting down")                                                                         \
    X(FLK_E_INVALID, "invalid input")                                                                                  \
    X(FLK_E_TOO_LARGE, "larger than the limit")                                                                        \
    X(FLK_E_SIGNATURE, "signature missing or invalid")                                                                 \
    X(FLK_E_NOT_FOUND, "not found")                                                                                    \
    X(FLK_E_EXISTS, "exists already")                                                                                  \
    X(FLK_E_CORRUPT, "data on disk is damaged")                                                                        \
    X(FLK_E_LOCKED, "in use by another process")                                                                       \
    X(FLK_E_NO_SPACE, "no space left on the device")                                                                   \
    X(FLK_E_IO, "input/output error")                                                                                  \
    X(FLK_E_CONFIG, "wrong setting")

typedef enum flk_err {
#define FLK_ERR_CODE(code, text) code,
    FLK_ERRORS(FLK_ERR_CODE)
#undef FLK_ERR_CODE
} flk_err_t;

const char *flk_err_text(flk_err_t err);

/* Returns `err`. If it is an error, "step: " is put before the text in errmsg. */
flk_err_t flk_err_at(flk_err_t err, const char *step, char *errmsg);

/* The reason why an address could not be listened on, by the errno: FLK_E_LOCKED (another process has it),
 * FLK_E_UNAVAILABLE (this host does not have the address now), FLK_E_NOMEM; else FLK_E_CONFIG. */
flk_err_t flk_err_of_listen(int code);

#endif
