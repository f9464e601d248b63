/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Morton codes and back. */
#include "corpus.h"

static u64 spread(u64 x)
{
	x = (x | x << 16) & 0x0000ffff0000ffff;
	x = (x | x << 8) & 0x00ff00ff00ff00ff;
	x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
	x = (x | x << 2) & 0x3333333333333333;
	return (x | x << 1) & 0x5555555555555555;
}

static u32 gather(u64 x)
{
	x &= 0x5555555555555555;
	x = (x | x >> 1) & 0x3333333333333333;
	x = (x | x >> 2) & 0x0f0f0f0f0f0f0f0f;
	x = (x | x >> 4) & 0x00ff00ff00ff00ff;
	x = (x | x >> 8) & 0x0000ffff0000ffff;
	return (u32)(x | x >> 16);
}

PROGRAM(bits_morton)
{
	u64 seed = corpus_seed, digest = 0;

	for (int i = 0; i < 200; i++) {
		u32 x = (u32)next(&seed), y = (u32)next(&seed);
		u64 code = spread(x) | spread(y) << 1;
		digest = mix(digest, code);
		digest = mix(digest, gather(code) == x && gather(code >> 1) == y);
	}
	return digest;
}
