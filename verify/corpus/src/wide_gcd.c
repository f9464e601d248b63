/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Greatest common divisors of 128-bit numbers, by shifts. */
#include "corpus.h"

static u32 zeros(u128 x)
{
	u64 low = (u64)x;

	return (u32)(low ? __builtin_ctzl(low) : 64 + __builtin_ctzl((u64)(x >> 64)));
}

static NOINLINE u128 gcd(u128 a, u128 b)
{
	u32 shift = zeros(a | b);

	for (a >>= zeros(a); b; ) {
		b >>= zeros(b);
		if (a > b) {
			u128 t = a;
			a = b;
			b = t;
		}
		b -= a;
	}
	return a << shift;
}

PROGRAM(wide_gcd)
{
	u64 seed = corpus_seed, digest = 0;

	for (int i = 0; i < 15; i++) {
		u128 common = next(&seed) >> 20, a = common * (next(&seed) | 1), b = common * (next(&seed) | 1);
		u128 g = gcd(a, b);
		digest = mix(mix(digest, (u64)g), (u64)(g >> 64));
	}
	return digest;
}
