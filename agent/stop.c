/* SPDX-License-Identifier: MIT */
#include "agent/stop.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t asked;

static void on_signal(int number) {
    (void)number;
    asked = 1;
}

void flk_stop_install(void) {
    struct sigaction stop = {.sa_handler = on_signal}; /* without SA_RESTART: poll returns */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
}

bool flk_stop_asked(void) {
    return asked != 0;
}
