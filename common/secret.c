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
