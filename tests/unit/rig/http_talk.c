/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/http_talk.h"

char talk_answer[TALK_BYTES]; /* the input, NUL-terminated */

int talk_open(unsigned port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = TALK_PATIENCE_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

bool talk_send(int fd, const void *data, size_t data_bytes) {
    const char *at = data;
    while (data_bytes > 0) {
        ssize_t sent = send(fd, at, data_bytes, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        at += sent;
        data_bytes -= (size_t)sent;
    }
    return true;
}

bool talk_say(int fd, const char *text) {
    return talk_send(fd, text, strlen(text));
}

/* By read: the thread sanitizer follows it from one end of a socket to the other, and recv is hooked
 * (common/http/hooks.h).
 */
int talk_read(int fd) {
    size_t len = 0, wanted = TALK_BYTES - 1;
    int status = 0;
    while (len < wanted) {
        ssize_t got = read(fd, talk_answer + len, wanted == TALK_BYTES - 1 ? 1 : wanted - len);
        if (got <= 0) {
            break;
        }
        len += (size_t)got;
        talk_answer[len] = '\0';
        const char *body = strstr(talk_answer, "\r\n\r\n"), *length = strstr(talk_answer, "\r\nContent-Length: ");
        if (body != NULL && wanted == TALK_BYTES - 1) {
            bool bodiless = strncmp(talk_answer, "HTTP/1.1 1", 10) == 0;
            size_t body_bytes = bodiless || length == NULL ? 0 : (size_t)strtoul(length + 18, NULL, 10);
            wanted = (size_t)(body + 4 - talk_answer) + body_bytes;
        }
    }
    talk_answer[len] = '\0';
    ck_assert(len == 0 || sscanf(talk_answer, "HTTP/1.1 %d ", &status) == 1);
    return status;
}

bool talk_closes(int fd) {
    char byte;
    return read(fd, &byte, 1) <= 0;
}

unsigned talk_count(int fd) {
    size_t len = 0;
    ssize_t got;
    while ((got = read(fd, talk_answer + len, TALK_BYTES - 1 - len)) > 0) {
        len += (size_t)got;
    }
    talk_answer[len] = '\0';
    unsigned answers = 0;
    for (const char *at = talk_answer; (at = strstr(at, "HTTP/1.1 ")) != NULL; at++) {
        answers++;
    }
    return answers;
}

bool talk_has(const char *part) {
    return strstr(talk_answer, part) != NULL;
}
