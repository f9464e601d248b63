/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* 128-bit quotients and remainders. */
#include "corpus.h"

PROGRAM(wide_divide)
{
	u64 seed = corpus_seed, digest = 0;

	for (int i = 0; i < 40; i++) {
		u128 n = (u128)next(&seed) << 64 | next(&seed);
		u128 d = ((u128)next(&seed) << 64 | next(&seed)) >> (3 * i + 1);
		u128 q = n / d, r = n % d;
		digest = mix(mix(digest, (u64)q), (u64)(q >> 64));
		digest = mix(mix(digest, (u64)r), (u64)(r >> 64));
		digest = mix(digest, q * d + r == n);
	}
	return digest;
}
