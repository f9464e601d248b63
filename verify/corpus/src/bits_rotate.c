/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rotations by constants and variables, all widths. */
#include "corpus.h"

PROGRAM(bits_rotate)
{
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < 130; i++) {
		u64 x = next(&seed);
		u32 y = (u32)x, by = i % 64;
		u16 z = (u16)x;
		u8 b = (u8)x;
		digest = mix(digest, x << by | x >> (-by & 63));
		digest = mix(digest, y >> by % 32 | y << (-by & 31));
		digest = mix(digest, (u16)(z << by % 16 | z >> (-by & 15)));
		digest = mix(digest, (u8)(b >> 3 | b << 5));
		digest = mix(digest, x >> 17 | x << 47);
	}
	return digest;
}
