/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bits and bytes reversed. */
#include "corpus.h"

PROGRAM(bits_reverse)
{
	u64 seed = corpus_seed, digest = 0;

	for (int i = 0; i < 150; i++) {
		u64 x = next(&seed), y = x;
		y = (y >> 1 & 0x5555555555555555) | (y & 0x5555555555555555) << 1;
		y = (y >> 2 & 0x3333333333333333) | (y & 0x3333333333333333) << 2;
		y = (y >> 4 & 0x0f0f0f0f0f0f0f0f) | (y & 0x0f0f0f0f0f0f0f0f) << 4;
		y = __builtin_bswap64(y);
		digest = mix(digest, y);
		digest = mix(digest, __builtin_bswap32((u32)x));
		digest = mix(digest, __builtin_bswap16((u16)x));
	}
	return digest;
}
