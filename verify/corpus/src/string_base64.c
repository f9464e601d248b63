/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Base64. */
#include "corpus.h"

PROGRAM(string_base64)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	u64 seed = corpus_seed, digest = 0;

	for (u32 bytes = 0; bytes < 40; bytes++) {
		u32 word = 0, bits = 0;
		for (u32 i = 0; i < bytes; i++) {
			word = word << 8 | (u8)next(&seed);
			for (bits += 8; bits >= 6; bits -= 6)
				digest = mix(digest, (u8)set[word >> (bits - 6) & 0x3f]);
		}
		if (bits)
			digest = mix(digest, (u8)set[word << (6 - bits) & 0x3f]);
		for (u32 i = bytes; i % 3; i++)
			digest = mix(digest, '=');
	}
	return digest;
}
