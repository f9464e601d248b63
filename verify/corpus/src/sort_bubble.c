/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bubble sort of words. */
#include "corpus.h"

PROGRAM(sort_bubble)
{
	s32 a[60];
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < COUNT(a); i++)
		a[i] = (s32)next(&seed);
	for (u32 end = COUNT(a); end > 1; end--)
		for (u32 i = 1; i < end; i++)
			if (a[i - 1] > a[i]) {
				s32 t = a[i];
				a[i] = a[i - 1];
				a[i - 1] = t;
			}
	for (u32 i = 0; i < COUNT(a); i++)
		digest = mix(digest, (u64)a[i]);
	return digest;
}
