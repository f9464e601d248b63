/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* 64 x 64 to 128 bits, signed and unsigned. */
#include "corpus.h"

PROGRAM(wide_multiply)
{
	u64 seed = corpus_seed, digest = 0;

	for (int i = 0; i < 200; i++) {
		u64 a = next(&seed), b = next(&seed) >> i % 64;
		u128 u = (u128)a * b;
		s128 s = (s128)(s64)a * (s64)b;
		digest = mix(mix(digest, (u64)u), (u64)(u >> 64));
		digest = mix(digest, (u64)((u128)s >> 64));
	}
	return digest;
}
