/* SPDX-License-Identifier: MIT */
/* Addresses as people may see them: without their user part, which has a password as often as not. Every text that
 * goes to a log, an error message or a report passes through here. Any thread. */
#ifndef FLK_COMMON_ADDRESS_H
#define FLK_COMMON_ADDRESS_H

#include <stddef.h>

/* Takes the user part out of each address in a text, in place: in each word that holds "://" or "NAME:", the text
 * between that and the last '@' of the word. Words end at white space, quotes and brackets. Linear in the text. */
void flk_address_hide_users(char *text);

/* Copies one address, which may hold anything: all before its last '@' but the scheme is left out. */
void flk_address_show(const char *address, char *out, size_t out_bytes);

#endif
