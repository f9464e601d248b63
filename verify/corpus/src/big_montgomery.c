/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Montgomery multiplication modulo an odd 64-bit number. */
#include "corpus.h"

PROGRAM(big_montgomery)
{
	u64 seed = corpus_seed, modulus = next(&seed) | 0x8000000000000001, inverse = modulus;
	u64 x = next(&seed) % modulus, digest = 0;

	for (int i = 0; i < 6; i++)
		inverse *= 2 - modulus * inverse;
	for (int i = 0; i < 200; i++) {
		u128 t = (u128)x * (next(&seed) % modulus);
		u64 m = (u64)t * inverse;
		u64 high = (u64)(t >> 64), less = (u64)((u128)m * modulus >> 64);
		x = high - less + (high < less ? modulus : 0);
		digest = mix(digest, x);
	}
	return digest;
}
