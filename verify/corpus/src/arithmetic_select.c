/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Minimum, maximum, sign, absolute value, clamp: conditions without branches. */
#include "corpus.h"

static NOINLINE s64 clamp(s64 x, s64 low, s64 high)
{
	return x < low ? low : x > high ? high : x;
}

PROGRAM(arithmetic_select)
{
	u64 seed = corpus_seed, digest = 0;

	for (int i = 0; i < 200; i++) {
		s64 x = (s64)next(&seed) >> i % 50, y = (s64)next(&seed) >> i % 40;
		u32 ux = (u32)x, uy = (u32)y;
		digest = mix(digest, (u64)(x < y ? x : y));
		digest = mix(digest, (u64)(x > y) - (u64)(x < y));
		digest = mix(digest, x < 0 ? -(u64)x : (u64)x);
		digest = mix(digest, ux > uy ? ux - uy : uy - ux);
		digest = mix(digest, (u64)clamp(x, -1000, 5000));
		digest = mix(digest, (ux <= uy) + 2 * (x == y) + 4 * (x >= 0) + 8 * ((u8)x > (u8)y));
	}
	return digest;
}
