/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The 64-bit rounds of xxHash. */
#include "corpus.h"

#define P1 0x9e3779b185ebca87u
#define P2 0xc2b2ae3d27d4eb4fu
#define P3 0x165667b19e3779f9u

static u64 rol(u64 x, int by)
{
	return x << by | x >> (64 - by);
}

PROGRAM(hash_xx)
{
	u64 seed = corpus_seed;
	u64 v[4] = {seed + P1 + P2, seed + P2, seed, seed - P1}, h;

	for (int i = 0; i < 160; i++)
		v[i % 4] = rol(v[i % 4] + next(&seed) * P2, 31) * P1;
	h = rol(v[0], 1) + rol(v[1], 7) + rol(v[2], 12) + rol(v[3], 18);
	for (int i = 0; i < 4; i++)
		h = (h ^ rol(v[i] * P2, 31) * P1) * P1 + P3;
	h = (h ^ h >> 33) * P2;
	h = (h ^ h >> 29) * P3;
	return h ^ h >> 32;
}
