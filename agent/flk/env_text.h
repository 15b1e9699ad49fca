/* SPDX-License-Identifier: MIT */
/* Assignments as systemd writes them: the words of an Environment= line, and the lines of an EnvironmentFile. One
 * thread. */
#ifndef FLK_AGENT_FLK_ENV_TEXT_H
#define FLK_AGENT_FLK_ENV_TEXT_H

/* Called for each assignment, in their order; both strings are borrowed until return. */
typedef void flk_env_text_fn(void *arg, const char *name, const char *value);

/* NAME=value words, separated by blanks; '…' and "…" hold blanks together. */
void flk_env_text_words(const char *line, flk_env_text_fn *fn, void *arg);

/* NAME=value lines; # and ; begin a comment line, a backslash at the end joins the next line, quotes are taken off. */
void flk_env_text_lines(const char *text, flk_env_text_fn *fn, void *arg);

#endif
