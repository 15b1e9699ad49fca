/* SPDX-License-Identifier: MIT */
/* The commands of `flk`. Each gets its own arguments (argv[0] is its name), prints for people, and returns the exit
 * status (program.h). */
#ifndef FLK_AGENT_FLK_COMMAND_H
#define FLK_AGENT_FLK_COMMAND_H

#include "common/program/program.h"

int flk_command_up(int argc, char **argv);
int flk_command_status(int argc, char **argv);
int flk_command_demo(int argc, char **argv);
int flk_command_keygen(int argc, char **argv);
int flk_command_audit(int argc, char **argv);
int flk_command_submit(int argc, char **argv);
int flk_command_feed(int argc, char **argv);
int flk_command_bench(int argc, char **argv);
int flk_command_doctor(int argc, char **argv);
int flk_command_policy(int argc, char **argv);
int flk_command_healthcheck(int argc, char **argv);
int flk_command_complete(int argc, char **argv); /* for shells; help does not list it */

#endif
