/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bernstein's string hash and Jenkins' one-at-a-time. */
#include "corpus.h"

PROGRAM(hash_djb)
{
	const char *words[] = {"latchup", "ticket", "lock", "", "completion", "a", "interrupt"};
	u64 digest = corpus_seed;

	for (u32 i = 0; i < COUNT(words); i++) {
		u32 djb = 5381, one = 0;
		for (const char *c = words[i]; *c; c++) {
			djb = djb * 33 + (u8)*c;
			one += (u8)*c;
			one += one << 10;
			one ^= one >> 6;
		}
		one += one << 3;
		one ^= one >> 11;
		one += one << 15;
		digest = mix(digest, (u64)djb << 32 | one);
	}
	return digest;
}
