/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Overlapping moves, fills and comparisons of all small sizes. */
#include "corpus.h"

PROGRAM(string_move)
{
	u8 a[96], b[96];
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < COUNT(a); i++)
		a[i] = (u8)next(&seed);
	for (u32 bytes = 0; bytes < 40; bytes++) {
		memcpy(b, a, sizeof(a));
		memmove(b + bytes % 7, b + 3, bytes);
		memmove(b + 40 + bytes % 5, b + 38, bytes);
		memset(b + 30, (int)bytes, bytes / 2);
		digest = mix(digest, (u64)(s64)(memcmp(a, b, sizeof(a)) > 0));
		for (u32 i = 0; i < COUNT(b); i++)
			digest = mix(digest, b[i]);
	}
	return digest;
}
