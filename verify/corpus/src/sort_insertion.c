/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Insertion sort of signed bytes. */
#include "corpus.h"

PROGRAM(sort_insertion)
{
	s8 a[120];
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < COUNT(a); i++)
		a[i] = (s8)next(&seed);
	for (u32 i = 1; i < COUNT(a); i++) {
		s8 value = a[i];
		u32 j = i;
		for (; j > 0 && a[j - 1] > value; j--)
			a[j] = a[j - 1];
		a[j] = value;
	}
	for (u32 i = 0; i < COUNT(a); i++)
		digest = mix(digest, (u64)a[i]);
	return digest;
}
