/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counting sort of bytes. */
#include "corpus.h"

PROGRAM(sort_counting)
{
	u8 a[500];
	u32 counts[256] = {0};
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < COUNT(a); i++)
		counts[a[i] = (u8)next(&seed)]++;
	for (u32 byte = 0, at = 0; byte < 256; byte++)
		while (counts[byte]-- > 0)
			a[at++] = (u8)byte;
	for (u32 i = 0; i < COUNT(a); i++)
		digest = mix(digest, a[i]);
	return digest;
}
