/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Additions, subtractions and products that report overflow; saturation. */
#include "corpus.h"

static NOINLINE s32 saturate(s64 x)
{
	return x > 0x7fffffff ? 0x7fffffff : x < -0x80000000l ? (s32)-0x80000000l : (s32)x;
}

PROGRAM(arithmetic_overflow)
{
	u64 seed = corpus_seed, digest = 0;

	for (int i = 0; i < 150; i++) {
		u64 x = next(&seed), y = next(&seed) >> i % 64, u;
		s64 s;
		s32 w;
		u8 b;
		s8 t;
		digest = mix(digest, __builtin_add_overflow(x, y, &u) ^ u);
		digest = mix(digest, __builtin_sub_overflow(x, y, &u) ^ u);
		digest = mix(digest, __builtin_mul_overflow(x, y, &u) ^ u);
		digest = mix(digest, __builtin_add_overflow((s64)x, (s64)y, &s) ^ (u64)s);
		digest = mix(digest, __builtin_mul_overflow((s64)x, (s64)y, &s) ^ (u64)s);
		digest = mix(digest, __builtin_sub_overflow((s32)x, (s32)y, &w) ^ (u64)w);
		digest = mix(digest, __builtin_add_overflow((u8)x, (u8)y, &b) ^ (u64)b);
		digest = mix(digest, __builtin_sub_overflow((s8)x, (s8)y, &t) ^ (u64)t);
		digest = mix(digest, (u64)saturate((s64)x >> i % 40));
	}
	return digest;
}
