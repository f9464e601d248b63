/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Signed and unsigned division by constants and variables, all widths. */
#include "corpus.h"

PROGRAM(arithmetic_division)
{
	u64 seed = corpus_seed, digest = 0;

	for (int i = 0; i < 120; i++) {
		u64 x = next(&seed), y = (next(&seed) >> i % 60) | 1;
		s64 sx = (s64)x, sy = (s64)y == -1 ? 3 : (s64)y;
		digest = mix(digest, x / y ^ x % y);
		digest = mix(digest, (u64)(sx / sy ^ sx % sy));
		digest = mix(digest, (u32)x / ((u32)y | 1) ^ (u32)x % ((u32)y | 1));
		digest = mix(digest, (u64)(s64)((s32)x / ((s32)y & 0xffff)));
		digest = mix(digest, (u64)((u16)x / ((u16)y | 1) + (s8)x / (((s8)y & 7) | 8)));
		digest = mix(digest, x / 10 + x % 7 + (u32)x / 3 + (u64)(sx / 1000 + (s32)x % 12));
		digest = mix(digest, (u64)(sx / 8 + sx % 16 + (s32)x / -5));
	}
	return digest;
}
