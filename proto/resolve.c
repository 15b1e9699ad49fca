/* SPDX-License-Identifier: MIT */
/* A table of names, each with its last answer. An entry is made at the first question and stays: a process knows a
 * handful of names.
 *
 * A look-up that fails leaves the answer of before: while the name server is away, peers that are still where they
 * were are found. */
#include "proto/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/thread.h"

enum { NAMES_MAX = 64 };

typedef struct name {
    char host[FLK_HOST_BYTES];
    flk_addresses_t addresses; /* of the last look-up that succeeded; len 0: none has */
    int failed;                /* getaddrinfo's result of the last one */
    bool running, done;        /* a look-up runs; one has ended */
    uint64_t ended_ms;
} name_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static name_t names[NAMES_MAX];
static size_t names_len;

bool flk_resolve_is_name(const char *endpoint, char host[FLK_HOST_BYTES], const char **port) {
    static const char tcp[] = "tcp://";
    if (strncmp(endpoint, tcp, sizeof tcp - 1) != 0) {
        return false;
    }
    const char *at = endpoint + sizeof tcp - 1, *colon = strrchr(at, ':');
    if (colon == NULL || colon == at || *at == '[' || memchr(at, ';', (size_t)(colon - at)) != NULL ||
        (size_t)(colon - at) >= FLK_HOST_BYTES) {
        return false;
    }
    snprintf(host, FLK_HOST_BYTES, "%.*s", (int)(colon - at), at);
    *port = colon + 1;
    struct in_addr address;
    return strspn(*port, "0123456789") == strlen(*port) && **port != '\0' && inet_pton(AF_INET, host, &address) != 1;
}

static void keep_address(const struct addrinfo *found, flk_addresses_t *addresses) {
    char text[FLK_ADDRESS_BYTES - 2], *kept = addresses->text[addresses->len];
    if (getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0) {
        return;
    }
    snprintf(kept, FLK_ADDRESS_BYTES, found->ai_family == AF_INET6 ? "[%s]" : "%s", text);
    for (size_t i = 0; i < addresses->len; i++) {
        if (strcmp(addresses->text[i], kept) == 0) {
            return;
        }
    }
    addresses->len++;
}

static void *look_up(void *arg) {
    name_t *name = arg;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    flk_addresses_t addresses = {0};
    int failed = getaddrinfo(name->host, NULL, &hints, &found);
    for (const struct addrinfo *each = found; each != NULL && addresses.len < FLK_ADDRESSES_MAX; each = each->ai_next) {
        keep_address(each, &addresses);
    }
    if (found != NULL) {
        freeaddrinfo(found);
    }
    FLK_ASSERT(pthread_mutex_lock(&lock) == 0);
    name->failed = failed == 0 && addresses.len == 0 ? EAI_NONAME : failed;
    if (addresses.len > 0) {
        name->addresses = addresses;
    }
    name->running = false;
    name->done = true;
    name->ended_ms = flk_mono_ms();
    FLK_ASSERT(pthread_mutex_unlock(&lock) == 0);
    return NULL;
}

/* Under the lock. NULL: the table is full. */
static name_t *name_of(const char *host) {
    for (size_t i = 0; i < names_len; i++) {
        if (strcmp(names[i].host, host) == 0) {
            return &names[i];
        }
    }
    if (names_len == NAMES_MAX) {
        return NULL;
    }
    snprintf(names[names_len].host, FLK_HOST_BYTES, "%s", host);
    return &names[names_len++];
}

/* Under the lock. */
static void start_look_up(name_t *name, uint64_t now_ms) {
    char errmsg[FLK_ERRMSG_BYTES];
    pthread_t thread;
    name->running = flk_thread_start(&thread, "resolve", look_up, name, errmsg) == FLK_OK;
    if (name->running) {
        FLK_ASSERT(pthread_detach(thread) == 0);
    } else {
        name->failed = EAI_MEMORY;
        name->done = true;
        name->ended_ms = now_ms;
    }
}

flk_err_t flk_resolve(const char *host, uint64_t now_ms, flk_addresses_t *addresses, char *errmsg) {
    flk_err_t err = FLK_OK;
    FLK_ASSERT(pthread_mutex_lock(&lock) == 0);
    name_t *name = name_of(host);
    if (name == NULL) {
        flk_errmsg(errmsg, "%s: this process knows %d names already", host, NAMES_MAX);
        err = FLK_E_UNAVAILABLE;
    } else {
        if (!name->running && (!name->done || now_ms >= name->ended_ms + FLK_RESOLVE_AGAIN_MS)) {
            start_look_up(name, now_ms);
        }
        *addresses = name->addresses;
        if (name->addresses.len == 0) {
            flk_errmsg(errmsg, "%s: %s", host, name->done ? gai_strerror(name->failed) : "is being looked up");
            err = name->done ? FLK_E_UNAVAILABLE : FLK_E_AGAIN;
        }
    }
    FLK_ASSERT(pthread_mutex_unlock(&lock) == 0);
    return err;
}
