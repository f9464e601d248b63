/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The 32-bit finaliser and body of MurmurHash3. */
#include "corpus.h"

static u32 rol(u32 x, int by)
{
	return x << by | x >> (32 - by);
}

PROGRAM(hash_murmur)
{
	u64 seed = corpus_seed;
	u32 h = (u32)seed, length = 0;

	for (; length < 300; length += 4) {
		u32 k = (u32)next(&seed) * 0xcc9e2d51;
		h ^= rol(k, 15) * 0x1b873593;
		h = rol(h, 13) * 5 + 0xe6546b64;
	}
	h ^= length;
	h = (h ^ h >> 16) * 0x85ebca6b;
	h = (h ^ h >> 13) * 0xc2b2ae35;
	return h ^ h >> 16;
}
