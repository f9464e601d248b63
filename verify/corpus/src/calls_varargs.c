/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Functions with many and variable arguments. */
#include "corpus.h"

static NOINLINE u64 sum(u32 count, ...)
{
	__builtin_va_list list;
	u64 total = 0;

	__builtin_va_start(list, count);
	while (count--) {
		total = mix(total, __builtin_va_arg(list, u64));
		total = mix(total, (u64)__builtin_va_arg(list, s32));
	}
	__builtin_va_end(list);
	return total;
}

static NOINLINE u64 many(u8 a, s16 b, u32 c, s64 d, u64 e, s8 f, u64 g, u16 h, s32 i, u128 j)
{
	return a + (u64)b + c * 3 + (u64)d + e + (u64)f * 5 + g + h + (u64)i * 7 + (u64)(j >> 3);
}

PROGRAM(calls_varargs)
{
	u64 seed = corpus_seed, digest = 0;

	for (int i = 0; i < 40; i++) {
		u64 x = next(&seed);
		digest = mix(digest, sum(5, x, (s32)x, x + 1, 3, x ^ 7, -4, ~x, i, x << 9, -i));
		digest = mix(digest, many((u8)x, (s16)x, (u32)x, (s64)x, x, (s8)(x >> 9), x >> 1,
					  (u16)(x >> 33), (s32)(x >> 17), (u128)x * x));
	}
	return digest;
}
