/* SPDX-License-Identifier: MIT */
/* The width of a terminal. Any thread. */
#ifndef FLK_COMMON_TERMINAL_H
#define FLK_COMMON_TERMINAL_H

/* Columns of the terminal behind `fd`, 80 when it does not say; 0 when there is none: a pipe, a file. */
unsigned flk_terminal_columns(int fd);

#endif
