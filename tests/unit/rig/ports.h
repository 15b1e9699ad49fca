/* SPDX-License-Identifier: MIT */
/* Loopback ports for servers that a test starts. */
#ifndef FLK_TESTS_PORTS_H
#define FLK_TESTS_PORTS_H

/* A port that is free, and below the range from which the kernel takes those of outgoing connections: none of them
 * takes it before the server does. */
unsigned rig_free_port(void);

#endif
