/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* SipHash-2-4 of messages of all lengths from 0 to 63. */
#include "corpus.h"

static u64 rol(u64 x, int by)
{
	return x << by | x >> (64 - by);
}

static void rounds(u64 v[4], int n)
{
	while (n--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rol(v[1], 13) ^ v[0];
		v[3] = rol(v[3], 16) ^ v[2];
		v[0] = rol(v[0], 32) + v[3];
		v[2] += v[1];
		v[3] = rol(v[3], 21) ^ v[0];
		v[1] = rol(v[1], 17) ^ v[2];
		v[2] = rol(v[2], 32);
	}
}

static NOINLINE u64 siphash(u64 k0, u64 k1, const u8 *data, u64 bytes)
{
	u64 v[4] = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d,
		    k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573};
	u64 last = bytes << 56;

	for (u64 at = 0; at < bytes / 8; at++) {
		u64 word = 0;
		for (int i = 0; i < 8; i++)
			word |= (u64)data[8 * at + i] << 8 * i;
		v[3] ^= word;
		rounds(v, 2);
		v[0] ^= word;
	}
	for (u64 i = 0; i < bytes % 8; i++)
		last |= (u64)data[bytes / 8 * 8 + i] << 8 * i;
	v[3] ^= last;
	rounds(v, 2);
	v[0] ^= last;
	v[2] ^= 0xff;
	rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

PROGRAM(hash_siphash)
{
	u8 data[64];
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < COUNT(data); i++)
		data[i] = (u8)i;
	for (u32 bytes = 0; bytes < COUNT(data); bytes++)
		digest = mix(digest, siphash(seed, ~seed, data, bytes));
	return digest;
}
