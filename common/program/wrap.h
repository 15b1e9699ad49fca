/* SPDX-License-Identifier: MIT */
/* Help texts on terminals of 80 columns. */
#ifndef FLK_COMMON_PROGRAM_WRAP_H
#define FLK_COMMON_PROGRAM_WRAP_H

#include <stdio.h>

#include "common/base.h"

/* Prints the words of `text` and a newline. The cursor stands at `column`, where every further line begins too. */
void flk_print_wrapped(FILE *out, size_t column, const char *text);

#endif
