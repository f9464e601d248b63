/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Adler-32. */
#include "corpus.h"

PROGRAM(hash_adler)
{
	u32 a = 1, b = 0;
	u64 seed = corpus_seed;

	for (u32 i = 0; i < 1000; i++) {
		a = (a + (u8)next(&seed)) % 65521;
		b = (b + a) % 65521;
	}
	return b << 16 | a;
}
