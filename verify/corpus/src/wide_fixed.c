/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fixed-point square roots, exponentials and sines. */
#include "corpus.h"

static u64 root(u128 x)
{
	u128 low = 0, high = (u128)1 << 64;

	while (high - low > 1) {
		u128 middle = (low + high) / 2;
		if (middle * middle <= x)
			low = middle;
		else
			high = middle;
	}
	return (u64)low;
}

PROGRAM(wide_fixed)
{
	u64 seed = corpus_seed, digest = 0;

	for (int i = 0; i < 10; i++) {
		u64 x = next(&seed) >> 3;
		u128 power = (u128)1 << 64, e = power;
		s128 sine = x >> 1, term = sine;
		digest = mix(digest, root((u128)x << 60));
		for (u64 n = 1; n < 25; n++) {
			power = (power >> 4) * (x >> 4) >> 56;
			power /= n;
			e += power;
		}
		for (s64 n = 2; n < 12; n += 2) {
			term = -((term * (s64)(x >> 33) >> 31) * (s64)(x >> 33) >> 31) / (n * (n + 1));
			sine += term;
		}
		digest = mix(mix(digest, (u64)e), (u64)(e >> 64));
		digest = mix(digest, (u64)sine);
	}
	return digest;
}
