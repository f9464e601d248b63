/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* All permutations of six things. */
#include "corpus.h"

static NOINLINE u64 permute(u8 *a, u32 from, u32 count, u64 digest)
{
	if (from == count) {
		u64 word = 0;
		for (u32 i = 0; i < count; i++)
			word = word << 8 | a[i];
		return mix(digest, word);
	}
	for (u32 i = from; i < count; i++) {
		u8 t = a[i];
		a[i] = a[from];
		a[from] = t;
		digest = permute(a, from + 1, count, digest);
		a[from] = a[i];
		a[i] = t;
	}
	return digest;
}

PROGRAM(recursion_permutations)
{
	u8 a[] = {1, 2, 3, 4, 5, 6};

	return permute(a, 0, COUNT(a), corpus_seed);
}
