/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Radix sort of 64-bit words by bytes. */
#include "corpus.h"

PROGRAM(sort_radix)
{
	u64 a[128], b[128], seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < COUNT(a); i++)
		a[i] = next(&seed);
	for (u32 shift = 0; shift < 64; shift += 8) {
		u32 starts[257] = {0};
		for (u32 i = 0; i < COUNT(a); i++)
			starts[(a[i] >> shift & 0xff) + 1]++;
		for (u32 i = 0; i < 256; i++)
			starts[i + 1] += starts[i];
		for (u32 i = 0; i < COUNT(a); i++)
			b[starts[a[i] >> shift & 0xff]++] = a[i];
		memcpy(a, b, sizeof(a));
	}
	for (u32 i = 0; i < COUNT(a); i++)
		digest = mix(digest, a[i]);
	return digest;
}
