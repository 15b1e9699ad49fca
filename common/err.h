/* SPDX-License-Identifier: MIT */
/* The one list of errors. Callers ask for the class, which says what to do, rather than for the code. */
#ifndef FLK_COMMON_ERR_H
#define FLK_COMMON_ERR_H

#include "common/base.h"

typedef enum flk_err_class {
    FLK_CLASS_OK,
    FLK_CLASS_RETRY,  /* passing: the same call may succeed later; nothing was lost */
    FLK_CLASS_REJECT, /* the input is at fault: the same input fails again */
    FLK_CLASS_FATAL,  /* this process or its surroundings are at fault: a person must act */
} flk_err_class_t;

/*  code             class           text */
#define FLK_ERRORS(X)                                                                                                  \
    X(FLK_OK, FLK_CLASS_OK, "ok")                                                                                      \
    X(FLK_E_NOMEM, FLK_CLASS_RETRY, "out of memory")                                                                   \
    X(FLK_E_FULL, FLK_CLASS_RETRY, "full")                                                                             \
    X(FLK_E_AGAIN, FLK_CLASS_RETRY, "nothing to do now")                                                               \
    X(FLK_E_TIMEOUT, FLK_CLASS_RETRY, "deadline passed")                                                               \
    X(FLK_E_UNAVAILABLE, FLK_CLASS_RETRY, "a needed part is unavailable")                                              \
    X(FLK_E_CLOSED, FLK_CLASS_RETRY, "closed or shutting down")                                                        \
    X(FLK_E_INVALID, FLK_CLASS_REJECT, "invalid input")                                                                \
    X(FLK_E_TOO_LARGE, FLK_CLASS_REJECT, "larger than the limit")                                                      \
    X(FLK_E_SIGNATURE, FLK_CLASS_REJECT, "signature missing or invalid")                                               \
    X(FLK_E_NOT_FOUND, FLK_CLASS_REJECT, "not found")                                                                  \
    X(FLK_E_EXISTS, FLK_CLASS_REJECT, "exists already")                                                                \
    X(FLK_E_CORRUPT, FLK_CLASS_FATAL, "data on disk is damaged")                                                       \
    X(FLK_E_LOCKED, FLK_CLASS_FATAL, "in use by another process")                                                      \
    X(FLK_E_NO_SPACE, FLK_CLASS_RETRY, "no space left on the device")                                                  \
    X(FLK_E_IO, FLK_CLASS_FATAL, "input/output error")                                                                 \
    X(FLK_E_CONFIG, FLK_CLASS_FATAL, "wrong setting")

typedef enum flk_err {
#define FLK_ERR_CODE(code, class, text) code,
    FLK_ERRORS(FLK_ERR_CODE)
#undef FLK_ERR_CODE
} flk_err_t;

const char *flk_err_text(flk_err_t err);
const char *flk_err_name(flk_err_t err); /* "FLK_E_FULL" */
flk_err_class_t flk_err_class(flk_err_t err);

/* Why an address could not be listened on, by the errno: FLK_E_LOCKED (another process has it), FLK_E_UNAVAILABLE
 * (this host does not have the address now), FLK_E_NOMEM; else FLK_E_CONFIG. */
flk_err_t flk_err_of_listen(int code);

#endif
