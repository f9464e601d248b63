/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bit fields of a structure, signed and unsigned. */
#include "corpus.h"

struct fields {
	u32 a : 3;
	s32 b : 5;
	u32 c : 11;
	s32 d : 13;
	u64 e : 40;
	s64 f : 24;
};

PROGRAM(bits_fields)
{
	struct fields x = {0};
	u64 seed = corpus_seed, digest = 0;

	for (int i = 0; i < 100; i++) {
		u64 value = next(&seed);
		x.a += value & 7;
		x.b = (s32)(value << 58 >> 58) - 16 + x.a;
		x.c ^= value >> 7;
		x.d -= (s32)(value >> 20 & 0xff);
		x.e += value;
		x.f = x.f * 3 + x.b;
		digest = mix(digest, (u64)(x.a + x.b + x.c + x.d));
		digest = mix(digest, x.e ^ (u64)x.f);
	}
	return digest;
}
