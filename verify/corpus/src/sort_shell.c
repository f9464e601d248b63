/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shell sort with Ciura's gaps. */
#include "corpus.h"

static const u16 gaps[] = {132, 57, 23, 10, 4, 1};

PROGRAM(sort_shell)
{
	s64 a[200];
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < COUNT(a); i++)
		a[i] = (s64)next(&seed);
	for (u32 g = 0; g < COUNT(gaps); g++)
		for (u32 i = gaps[g]; i < COUNT(a); i++) {
			s64 value = a[i];
			u32 j = i;
			for (; j >= gaps[g] && a[j - gaps[g]] > value; j -= gaps[g])
				a[j] = a[j - gaps[g]];
			a[j] = value;
		}
	for (u32 i = 0; i < COUNT(a); i++)
		digest = mix(digest, (u64)a[i]);
	return digest;
}
