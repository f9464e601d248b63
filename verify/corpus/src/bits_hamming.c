/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Hamming(7,4): every single error is corrected. */
#include "corpus.h"

static u8 encode(u8 d)
{
	u8 p1 = (d ^ d >> 1 ^ d >> 3) & 1, p2 = (d ^ d >> 2 ^ d >> 3) & 1;
	u8 p3 = (d >> 1 ^ d >> 2 ^ d >> 3) & 1;

	return (u8)(p1 | p2 << 1 | (d & 1) << 2 | p3 << 3 | (d >> 1 & 7) << 4);
}

static u8 decode(u8 code)
{
	u8 syndrome = 0;

	for (u8 bit = 1; bit <= 7; bit++)
		if (code >> (bit - 1) & 1)
			syndrome ^= bit;
	if (syndrome)
		code ^= (u8)(1 << (syndrome - 1));
	return (u8)((code >> 2 & 1) | (code >> 4 & 7) << 1);
}

PROGRAM(bits_hamming)
{
	u64 digest = corpus_seed;

	for (u8 data = 0; data < 16; data++)
		for (u8 error = 0; error <= 7; error++) {
			u8 code = encode(data) ^ (u8)(error ? 1 << (error - 1) : 0);
			digest = mix(digest, code << 8 | decode(code));
		}
	return digest;
}
