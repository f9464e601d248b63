/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The sieve of Eratosthenes in a bitmap. */
#include "corpus.h"

PROGRAM(bits_sieve)
{
	u64 composite[64] = {0}, digest = corpus_seed;
	u32 limit = 64 * COUNT(composite), primes = 0;

	for (u32 n = 2; n < limit; n++) {
		if (composite[n / 64] >> n % 64 & 1)
			continue;
		primes++;
		digest = mix(digest, n);
		for (u32 m = n * n; m < limit; m += n)
			composite[m / 64] |= 1ul << m % 64;
	}
	return mix(digest, primes);
}
