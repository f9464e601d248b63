/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ChaCha20 blocks. */
#include "corpus.h"

static u32 rol(u32 x, int by)
{
	return x << by | x >> (32 - by);
}

static void quarter(u32 *x, int a, int b, int c, int d)
{
	x[a] += x[b], x[d] = rol(x[d] ^ x[a], 16);
	x[c] += x[d], x[b] = rol(x[b] ^ x[c], 12);
	x[a] += x[b], x[d] = rol(x[d] ^ x[a], 8);
	x[c] += x[d], x[b] = rol(x[b] ^ x[c], 7);
}

PROGRAM(cipher_chacha)
{
	u32 start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}, x[16];
	u64 seed = corpus_seed, digest = 0;

	for (int i = 4; i < 16; i++)
		start[i] = (u32)next(&seed);
	for (start[12] = 0; start[12] < 4; start[12]++) {
		memcpy(x, start, sizeof(x));
		for (int i = 0; i < 10; i++) {
			quarter(x, 0, 4, 8, 12);
			quarter(x, 1, 5, 9, 13);
			quarter(x, 2, 6, 10, 14);
			quarter(x, 3, 7, 11, 15);
			quarter(x, 0, 5, 10, 15);
			quarter(x, 1, 6, 11, 12);
			quarter(x, 2, 7, 8, 13);
			quarter(x, 3, 4, 9, 14);
		}
		for (int i = 0; i < 16; i++)
			digest = mix(digest, x[i] + start[i]);
	}
	return digest;
}
