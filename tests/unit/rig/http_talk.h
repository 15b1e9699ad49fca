/* SPDX-License-Identifier: MIT */
/* Raw bytes to an HTTP server on loopback, and its answers. For tests only. */
#ifndef FLK_TESTS_UNIT_HTTP_TALK_H
#define FLK_TESTS_UNIT_HTTP_TALK_H

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base.h"

enum { TALK_PATIENCE_S = 20, TALK_BYTES = 1 << 16 };

extern char talk_answer[TALK_BYTES]; /* the input, NUL-terminated */

int talk_open(unsigned port);

/* False: the other side has closed. */
bool talk_send(int fd, const void *data, size_t data_bytes);

bool talk_say(int fd, const char *text);

/* Reads one answer with its body, by its Content-Length, into talk_answer and gives its status; 0: the connection was
 * closed before it. */
int talk_read(int fd);

/* True when the other side closes within the patience of the socket, with nothing before that. */
bool talk_closes(int fd);

/* Reads everything until the other side closes, and counts the answers in it. */
unsigned talk_count(int fd);

bool talk_has(const char *part);

#endif
