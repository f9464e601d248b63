/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Four ways to count bits. */
#include "corpus.h"

PROGRAM(bits_popcount)
{
	u64 seed = corpus_seed, digest = 0;

	for (int i = 0; i < 120; i++) {
		u64 x = next(&seed) >> i % 60, y = x;
		u32 kernighan = 0, shifts = 0;
		for (u64 z = x; z; z &= z - 1)
			kernighan++;
		for (u64 z = x; z; z >>= 1)
			shifts += z & 1;
		y -= y >> 1 & 0x5555555555555555;
		y = (y & 0x3333333333333333) + (y >> 2 & 0x3333333333333333);
		y = (y + (y >> 4)) & 0x0f0f0f0f0f0f0f0f;
		y = y * 0x0101010101010101 >> 56;
		digest = mix(digest, y << 16 | kernighan << 8 | shifts);
		digest = mix(digest, __builtin_parityl(x));
	}
	return digest;
}
