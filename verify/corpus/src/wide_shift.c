/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* 128-bit shifts, comparisons and negations. */
#include "corpus.h"

PROGRAM(wide_shift)
{
	u64 seed = corpus_seed, digest = 0;
	u128 x = (u128)next(&seed) << 64 | next(&seed);

	for (u32 i = 0; i < 128; i++) {
		s128 s = (s128)x;
		u128 left = x << i, right = x >> i, signed_right = (u128)(s >> i);
		digest = mix(mix(digest, (u64)left), (u64)(left >> 64));
		digest = mix(mix(digest, (u64)right), (u64)(right >> 64));
		digest = mix(digest, (u64)(signed_right >> 64));
		digest = mix(digest, (left > right) << 2 | (s < 0) << 1 | (-x < x));
		x = x * 0x5851f42d4c957f2d + 0x14057b7ef767814f;
	}
	return digest;
}
