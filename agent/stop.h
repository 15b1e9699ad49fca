/* SPDX-License-Identifier: MIT */
/* SIGINT and SIGTERM ask for a stop; whoever blocks is woken (EINTR) and looks. SIGPIPE is ignored. */
#ifndef FLK_AGENT_STOP_H
#define FLK_AGENT_STOP_H

#include <stdbool.h>

void flk_stop_install(void); /* once, before threads are made */
bool flk_stop_asked(void);

#endif
