/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Modular powers with 128-bit remainders: Fermat's little theorem. */
#include "corpus.h"

static u64 power(u64 base, u64 exponent, u64 modulus)
{
	u64 result = 1;

	for (base %= modulus; exponent; exponent >>= 1) {
		if (exponent & 1)
			result = (u64)((u128)result * base % modulus);
		base = (u64)((u128)base * base % modulus);
	}
	return result;
}

PROGRAM(big_modexp)
{
	const u64 primes[] = {3, 65537, 0xffffffff00000001, 0xffffffffffffffc5};
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < COUNT(primes); i++) {
		u64 base = next(&seed) | 1;
		digest = mix(digest, power(base, primes[i] - 1, primes[i]));
		digest = mix(digest, power(base, next(&seed) & 0xffff, primes[i]));
	}
	return digest;
}
