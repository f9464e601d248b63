/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The tiny encryption algorithm, there and back. */
#include "corpus.h"

PROGRAM(cipher_tea)
{
	u64 seed = corpus_seed, digest = 0;
	u32 key[4] = {(u32)next(&seed), (u32)next(&seed), (u32)next(&seed), (u32)next(&seed)};

	for (int blocks = 0; blocks < 12; blocks++) {
		u32 a = (u32)next(&seed), b = (u32)(seed >> 32), a0 = a, b0 = b, sum = 0;
		for (int i = 0; i < 32; i++) {
			sum += 0x9e3779b9;
			a += ((b << 4) + key[0]) ^ (b + sum) ^ ((b >> 5) + key[1]);
			b += ((a << 4) + key[2]) ^ (a + sum) ^ ((a >> 5) + key[3]);
		}
		digest = mix(digest, (u64)a << 32 | b);
		for (int i = 0; i < 32; i++) {
			b -= ((a << 4) + key[2]) ^ (a + sum) ^ ((a >> 5) + key[3]);
			a -= ((b << 4) + key[0]) ^ (b + sum) ^ ((b >> 5) + key[1]);
			sum -= 0x9e3779b9;
		}
		digest = mix(digest, a == a0 && b == b0);
	}
	return digest;
}
