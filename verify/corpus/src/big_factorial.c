/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* 100! with 32-bit limbs, and its decimal digits. */
#include "corpus.h"

PROGRAM(big_factorial)
{
	u32 limbs[20] = {1};
	u64 digest = corpus_seed;

	for (u32 n = 2; n <= 100; n++) {
		u64 carry = 0;
		for (int i = 0; i < 20; i++) {
			carry += (u64)limbs[i] * n;
			limbs[i] = (u32)carry;
			carry >>= 32;
		}
	}
	for (int digits = 0; digits < 160; digits++) {
		u64 rest = 0;
		for (int i = 20; i-- > 0;) {
			rest = rest << 32 | limbs[i];
			limbs[i] = (u32)(rest / 10);
			rest %= 10;
		}
		digest = mix(digest, rest);
	}
	return digest;
}
