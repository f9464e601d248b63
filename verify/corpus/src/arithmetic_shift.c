/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shifts of all widths and signs by variables. */
#include "corpus.h"

PROGRAM(arithmetic_shift)
{
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < 130; i++) {
		u64 x = next(&seed);
		digest = mix(digest, x << i % 64 ^ x >> (i + 7) % 64);
		digest = mix(digest, (u64)((s64)x >> i % 64));
		digest = mix(digest, (u32)x << i % 32 | (u32)x >> i % 32);
		digest = mix(digest, (u64)((s32)x >> i % 32));
		digest = mix(digest, (u64)((s16)x >> i % 16) ^ (u16)((u16)x << i % 8));
		digest = mix(digest, (u64)((s8)x >> i % 8) ^ (u8)((u8)x >> i % 8));
	}
	return digest;
}
