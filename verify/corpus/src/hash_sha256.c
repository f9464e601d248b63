/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* SHA-256 of three blocks; its constants are computed. */
#include "corpus.h"

static u32 ror(u32 x, int by)
{
	return x >> by | x << (32 - by);
}

/* First 32 bits of the fraction of the root of n: found bit by bit. */
static u32 root_fraction(u32 n, int cube)
{
	u128 root = 0;

	for (int bit = 36; bit >= 0; bit--) {
		u128 next_root = root | (u128)1 << bit;
		u128 power = cube ? next_root * next_root * next_root : next_root * next_root;
		if (power <= (u128)n << (cube ? 96 : 64))
			root = next_root;
	}
	return (u32)root;
}

static void block(u32 state[8], const u32 k[64], const u8 *data)
{
	u32 w[64], s[8];

	for (int i = 0; i < 16; i++)
		w[i] = (u32)data[4 * i] << 24 | data[4 * i + 1] << 16 | data[4 * i + 2] << 8 |
		       data[4 * i + 3];
	for (int i = 16; i < 64; i++) {
		u32 a = ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3;
		u32 b = ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10;
		w[i] = w[i - 16] + a + w[i - 7] + b;
	}
	memcpy(s, state, sizeof(s));
	for (int i = 0; i < 64; i++) {
		u32 e = ror(s[4], 6) ^ ror(s[4], 11) ^ ror(s[4], 25);
		u32 t = s[7] + e + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
		u32 a = ror(s[0], 2) ^ ror(s[0], 13) ^ ror(s[0], 22);
		u32 u = a + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
		memmove(s + 1, s, 7 * sizeof(*s));
		s[4] += t;
		s[0] = t + u;
	}
	for (int i = 0; i < 8; i++)
		state[i] += s[i];
}

PROGRAM(hash_sha256)
{
	u32 state[8], k[64];
	u8 data[64];
	u64 seed = corpus_seed, digest = 0;

	for (u32 n = 2, found = 0; found < 64; n++) {
		u32 d = 2;
		while (d * d <= n && n % d)
			d++;
		if (d * d <= n)
			continue;
		if (found < 8)
			state[found] = root_fraction(n, 0);
		k[found++] = root_fraction(n, 1);
	}
	for (int blocks = 0; blocks < 3; blocks++) {
		for (u32 i = 0; i < COUNT(data); i++)
			data[i] = (u8)next(&seed);
		block(state, k, data);
	}
	for (int i = 0; i < 8; i++)
		digest = mix(digest, state[i]);
	return digest;
}
