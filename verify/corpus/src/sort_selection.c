/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Selection sort of 16-bit words. */
#include "corpus.h"

PROGRAM(sort_selection)
{
	u16 a[80];
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < COUNT(a); i++)
		a[i] = (u16)(next(&seed) >> 9);
	for (u32 i = 0; i < COUNT(a); i++) {
		u32 least = i;
		for (u32 j = i + 1; j < COUNT(a); j++)
			if (a[j] < a[least])
				least = j;
		u16 t = a[i];
		a[i] = a[least];
		a[least] = t;
		digest = mix(digest, a[i]);
	}
	return digest;
}
