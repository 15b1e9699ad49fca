/* SPDX-License-Identifier: MIT */
/* The buffer holds [begin, end): consumed bytes in front go away when room is needed behind.
 * A line that is longer than the limit is dropped in pieces up to its line end, so that the next one is whole again. */
#include "agent/read/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_BYTES = 1 << 16 };

struct flk_input {
    int fd;
    char *name;
    char *buffer;
    size_t capacity, begin, end;
    size_t scanned;    /* bytes behind begin that are known to hold no line end */
    uint64_t consumed; /* bytes that have left the buffer */
    uint64_t lines;
    bool at_end;
    bool begun;    /* the first bytes were looked at; none are at hand before */
    bool dropping; /* inside a line that is passed over */
};

flk_err_t flk_input_open(const char *path, flk_input_t **out, char *errmsg) {
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0 || S_ISDIR(status.st_mode)) {
        int why = fd >= 0 && S_ISDIR(status.st_mode) ? EISDIR : errno;
        flk_errmsg(errmsg, "cannot read %s: %s", path, strerror(why));
        if (fd >= 0 && !standard) {
            close(fd);
        }
        return why == ENOENT ? FLK_E_NOT_FOUND : FLK_E_IO;
    }
    flk_input_t *input = flk_start_alloc(sizeof *input);
    input->fd = fd;
    input->name = strdup(standard ? "standard input" : path);
    input->capacity = FIRST_BYTES;
    input->buffer = flk_start_alloc(input->capacity);
    FLK_ASSERT(input->name != NULL);
    *out = input;
    return FLK_OK;
}

void flk_input_close(flk_input_t **input) {
    if (*input == NULL) {
        return;
    }
    if ((*input)->fd != STDIN_FILENO) {
        close((*input)->fd);
    }
    free((*input)->name);
    free((*input)->buffer);
    free(*input);
    *input = NULL;
}

const char *flk_input_name(const flk_input_t *input) {
    return input->name;
}

const char *flk_input_data(const flk_input_t *input, size_t *data_bytes) {
    *data_bytes = input->begun ? input->end - input->begin : 0;
    return input->buffer + input->begin;
}

void flk_input_consume(flk_input_t *input, size_t bytes) {
    const char *at = input->buffer + input->begin, *stop = at + bytes;
    FLK_ASSERT(bytes <= input->end - input->begin);
    while (at < stop && (at = memchr(at, '\n', (size_t)(stop - at))) != NULL) {
        input->lines++;
        at++;
    }
    input->begin += bytes;
    input->consumed += bytes;
    input->scanned -= bytes < input->scanned ? bytes : input->scanned;
}

void flk_input_drop_line(flk_input_t *input) {
    size_t bytes;
    const char *data = flk_input_data(input, &bytes);
    const char *line_end = memchr(data, '\n', bytes);
    flk_input_consume(input, line_end == NULL ? bytes : (size_t)(line_end - data) + 1);
    input->dropping = line_end == NULL;
}

/* First bytes by which files that are no UTF-8 text are known. */
static const struct {
    const char *bytes;
    size_t bytes_len;
    const char *fault; /* NULL: it is text */
} beginnings[] = {
    {"\xEF\xBB\xBF", 3, NULL}, /* the byte-order mark of UTF-8 */
    {"\xFF\xFE", 2, "UTF-16 text: make it UTF-8, by iconv -f UTF-16 -t UTF-8"},
    {"\xFE\xFF", 2, "UTF-16 text: make it UTF-8, by iconv -f UTF-16 -t UTF-8"},
    {"\x1F\x8B", 2, "compressed by gzip: give the output of gzip -dc"},
    {"\x28\xB5\x2F\xFD", 4, "compressed by zstd: give the output of zstd -dc"},
    {"PK\x03\x04", 4, "a ZIP file or a spreadsheet: export it as CSV"},
};

/* Passes over a byte-order mark. FLK_E_AGAIN: too few bytes are there yet. FLK_E_CONFIG: it is no text. */
static flk_err_t look_at_begin(flk_input_t *input, char *errmsg) {
    const char *data = input->buffer + input->begin;
    size_t bytes = input->end - input->begin;
    for (size_t i = 0; i < FLK_COUNT_OF(beginnings); i++) {
        size_t len = beginnings[i].bytes_len;
        if (memcmp(data, beginnings[i].bytes, bytes < len ? bytes : len) != 0) {
            continue;
        }
        if (bytes < len && !input->at_end) {
            return FLK_E_AGAIN;
        }
        if (bytes >= len && beginnings[i].fault != NULL) {
            flk_errmsg(errmsg, "%s is %s", input->name, beginnings[i].fault);
            return FLK_E_CONFIG;
        }
        if (bytes >= len) {
            flk_input_consume(input, len);
            break;
        }
    }
    input->begun = true;
    return FLK_OK;
}

/* Makes room behind `end`. */
static flk_err_t make_room(flk_input_t *input, char *errmsg) {
    if (input->begin > 0) {
        memmove(input->buffer, input->buffer + input->begin, input->end - input->begin);
        input->end -= input->begin;
        input->begin = 0;
    }
    if (input->end < input->capacity) {
        return FLK_OK;
    }
    if (input->capacity >= FLK_ROW_BYTES_MAX) {
        flk_errmsg(errmsg, "longer than %d bytes", FLK_ROW_BYTES_MAX);
        return FLK_E_TOO_LARGE;
    }
    char *larger = realloc(input->buffer, input->capacity * 2);
    if (larger == NULL) {
        flk_errmsg(errmsg, "%s: out of memory", input->name);
        return FLK_E_NOMEM;
    }
    input->buffer = larger;
    input->capacity *= 2;
    return FLK_OK;
}

flk_err_t flk_input_more(flk_input_t *input, char *errmsg) {
    if (input->at_end) {
        return FLK_E_NOT_FOUND;
    }
    flk_err_t err = make_room(input, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    struct pollfd ready = {.fd = input->fd, .events = POLLIN};
    int polled = poll(&ready, 1, 0);
    if (polled == 0 || (polled < 0 && errno == EINTR)) {
        return FLK_E_AGAIN;
    }
    ssize_t got = read(input->fd, input->buffer + input->end, input->capacity - input->end);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
        return FLK_E_AGAIN;
    }
    if (got < 0) {
        flk_errmsg(errmsg, "cannot read %s: %s", input->name, strerror(errno));
        return FLK_E_IO;
    }
    input->at_end = got == 0;
    input->end += (size_t)got;
    if (!input->begun) {
        err = look_at_begin(input, errmsg);
        bool none = err == FLK_E_AGAIN || (err == FLK_OK && input->begin == input->end);
        return none ? flk_input_more(input, errmsg) : err;
    }
    if (input->dropping) {
        flk_input_drop_line(input);
    }
    return got == 0 ? FLK_E_NOT_FOUND : FLK_OK;
}

flk_err_t flk_input_line(flk_input_t *input, const char **line, size_t *line_bytes, char *errmsg) {
    const char *data, *line_end;
    size_t bytes;
    for (;;) {
        data = flk_input_data(input, &bytes);
        line_end = memchr(data + input->scanned, '\n', bytes - input->scanned);
        if (line_end != NULL || (input->at_end && bytes > 0)) { /* the last line may have no line end */
            break;
        }
        input->scanned = bytes;
        flk_err_t err = flk_input_more(input, errmsg);
        if (err == FLK_E_TOO_LARGE) {
            flk_input_drop_line(input);
        }
        if (err != FLK_OK && !(err == FLK_E_NOT_FOUND && bytes > 0)) {
            return err;
        }
    }
    size_t length = line_end == NULL ? bytes : (size_t)(line_end - data);
    flk_input_consume(input, line_end == NULL ? bytes : length + 1);
    input->scanned = 0;
    *line = data;
    *line_bytes = length > 0 && data[length - 1] == '\r' ? length - 1 : length;
    return FLK_OK;
}

int flk_input_fd(const flk_input_t *input) {
    return input->fd;
}

uint64_t flk_input_offset(const flk_input_t *input) {
    return input->consumed;
}

uint64_t flk_input_lines(const flk_input_t *input) {
    return input->lines;
}
