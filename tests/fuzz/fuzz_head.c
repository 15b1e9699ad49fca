/* SPDX-License-Identifier: MIT */
/* The head of an HTTP request and a chunked body behind it: whole or byte by byte, they are read in the same way. A
 * head that passes has one length, its texts lie in it and hold no byte that a second reader could take for an end.
 */
#include "common/http/chunks.h"
#include "common/http/guard.h"
#include "tests/fuzz/fuzz.h"

enum { BYTES_MAX = 20000 };

static char whole[BYTES_MAX], parts[BYTES_MAX];

static void check_text(const char *text, const char *begin, size_t bytes) {
    FLK_ASSERT(strcmp(text, "/") == 0 || (text >= begin && text < begin + bytes));
    for (const char *at = text; *at != '\0'; at++) {
        FLK_ASSERT((unsigned char)*at >= ' ' || *at == '\t');
        FLK_ASSERT(*at != 0x7f);
    }
}

static void check_head(const flk_http_head_t *head, const char *begin) {
    FLK_ASSERT(head->bytes >= sizeof "A / HTTP/1.0\r\n\r\n" - 1 && head->bytes <= FLK_HTTP_HEAD_BYTES_MAX);
    FLK_ASSERT(head->fields_len <= FLK_HTTP_FIELDS_MAX);
    FLK_ASSERT(!head->chunked || (head->length == 0 && !head->old && head->has_length));
    FLK_ASSERT(head->method == begin && strchr(head->path, ' ') == NULL);
    check_text(head->method, begin, head->bytes);
    check_text(head->path, begin, head->bytes);
    for (unsigned i = 0; i < head->fields_len; i++) {
        const flk_http_field_t *field = &head->fields[i];
        size_t len = strlen(field->value);
        check_text(field->name, begin, head->bytes);
        check_text(field->value, begin, head->bytes);
        FLK_ASSERT(field->name[0] != '\0');
        FLK_ASSERT(len == 0 ||
                   (strchr(" \t", field->value[0]) == NULL && strchr(" \t", field->value[len - 1]) == NULL));
    }
}

/* How many bytes it takes to read the head, or to refuse it; 0: more than there are. */
static size_t read_slowly(const uint8_t *data, size_t bytes, flk_http_head_t *head) {
    size_t scanned = 0;
    memcpy(parts, data, bytes);
    for (size_t came = 1; came <= bytes; came++) {
        if (flk_http_guard_read(parts, came, &scanned, head)) {
            return came;
        }
    }
    return 0;
}

static void check_same(const flk_http_head_t *a, const flk_http_head_t *b) {
    FLK_ASSERT(a->status == b->status && a->bytes == b->bytes && strcmp(a->method, b->method) == 0);
    FLK_ASSERT(strcmp(a->path, b->path) == 0 && a->fields_len == b->fields_len);
    FLK_ASSERT(a->status != 0 || (a->length == b->length && a->chunked == b->chunked && a->close == b->close));
}

static size_t take_body(const uint8_t *data, size_t bytes, size_t step, flk_http_chunks_t *chunks, char *out) {
    size_t body = 0;
    for (size_t at = 0; at < bytes && chunks->state != FLK_CHUNK_DONE && chunks->state != FLK_CHUNK_BAD;) {
        size_t some = bytes - at < step ? bytes - at : step, got;
        size_t taken = flk_http_chunks_take(chunks, (const char *)data + at, some, out + body, BYTES_MAX - body, &got);
        FLK_ASSERT(taken <= some && got <= taken);
        at += taken;
        body += got;
    }
    return body;
}

static void check_chunks(const uint8_t *data, size_t bytes) {
    flk_http_chunks_t fast = {.state = FLK_CHUNK_SIZE}, slow = {.state = FLK_CHUNK_SIZE};
    size_t body = take_body(data, bytes, bytes, &fast, whole);
    FLK_ASSERT(body == take_body(data, bytes, 1, &slow, parts));
    FLK_ASSERT(fast.state == slow.state && memcmp(whole, parts, body) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes) {
    flk_http_head_t at_once, slowly;
    size_t bytes = data_bytes < BYTES_MAX ? data_bytes : BYTES_MAX, scanned = 0;
    memcpy(whole, data, bytes);
    bool read = flk_http_guard_read(whole, bytes, &scanned, &at_once);
    size_t needed = read_slowly(data, bytes, &slowly);
    FLK_ASSERT(read == (needed > 0));
    if (read && at_once.status == 0) {
        check_head(&at_once, whole);
        FLK_ASSERT(at_once.bytes == needed);
        check_same(&at_once, &slowly);
        check_chunks(data + needed, bytes - needed);
    } else if (read) {
        FLK_ASSERT(at_once.status >= 400 && at_once.status < 600 && at_once.why[0] != '\0');
        FLK_ASSERT(slowly.status == at_once.status || slowly.status == 414 || slowly.status == 431);
    }
    check_chunks(data, bytes);
    return 0;
}
