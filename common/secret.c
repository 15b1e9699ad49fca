/* SPDX-License-Identifier: MIT */
#include "common/secret.h"

#include <sodium.h>
#include <string.h>
#include <strings.h>

static const char *const samples[] = {
    "change-me", "change_me", "changeme",    "change-me-please", "supersecret", "super-secret",
    "secret",    "password",  "your-secret", "your-key",         "example",     "default",
};

void *flk_secret_alloc(size_t bytes) {
    FLK_ASSERT(sodium_init() >= 0);
    void *memory = sodium_malloc(bytes);
    if (memory != NULL) {
        sodium_memzero(memory, bytes);
    }
    return memory;
}

bool flk_secret_is_sample(const char *list) {
    for (const char *item = list; *item != '\0';) {
        size_t bytes = strcspn(item, ",");
        for (size_t i = 0; i < FLK_COUNT_OF(samples); i++) {
            if (bytes == strlen(samples[i]) && strncasecmp(item, samples[i], bytes) == 0) {
                return true;
            }
        }
        item += bytes + (item[bytes] == ',');
    }
    return false;
}

size_t flk_secret_shortest(const char *list) {
    size_t shortest = 0;
    for (const char *item = list; *item != '\0';) {
        size_t bytes = strcspn(item, ",");
        if (bytes > 0 && (shortest == 0 || bytes < shortest)) {
            shortest = bytes;
        }
        item += bytes + (item[bytes] == ',');
    }
    return shortest;
}

static bool is_blank(char letter) {
    return letter == ' ' || letter == '\t' || letter == '\r' || letter == '\n';
}

bool flk_secret_has_blank_end(const char *list) {
    for (const char *item = list; *item != '\0';) {
        size_t bytes = strcspn(item, ",");
        if (bytes > 0 && (is_blank(item[0]) || is_blank(item[bytes - 1]))) {
            return true;
        }
        item += bytes + (item[bytes] == ',');
    }
    return false;
}
