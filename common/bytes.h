/* SPDX-License-Identifier: MIT */
/* Integers as bytes in the order that a format names: little-endian (le) or big-endian (be). No alignment is needed. */
#ifndef FLK_COMMON_BYTES_H
#define FLK_COMMON_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* flk_put_le32(out, value) and flk_get_le32(in), and so on for each order and width. */
#define FLK_BYTES_ORDER(order, bits)                                                                                   \
    static inline void flk_put_##order##bits(void *out, uint##bits##_t value) {                                        \
        value = hto##order##bits(value);                                                                               \
        memcpy(out, &value, sizeof value);                                                                             \
    }                                                                                                                  \
    static inline uint##bits##_t flk_get_##order##bits(const void *in) {                                               \
        uint##bits##_t value;                                                                                          \
        memcpy(&value, in, sizeof value);                                                                              \
        return order##bits##toh(value);                                                                                \
    }
FLK_BYTES_ORDER(le, 16)
FLK_BYTES_ORDER(le, 32)
FLK_BYTES_ORDER(le, 64)
FLK_BYTES_ORDER(be, 16)
FLK_BYTES_ORDER(be, 32)
FLK_BYTES_ORDER(be, 64)
#undef FLK_BYTES_ORDER

#endif
