/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Recursive quicksort. */
#include "corpus.h"

static NOINLINE void quick(u64 *a, s64 low, s64 high)
{
	if (low >= high)
		return;
	u64 pivot = a[(low + high) / 2];
	s64 i = low, j = high;
	while (i <= j) {
		while (a[i] < pivot)
			i++;
		while (a[j] > pivot)
			j--;
		if (i <= j) {
			u64 t = a[i];
			a[i++] = a[j];
			a[j--] = t;
		}
	}
	quick(a, low, j);
	quick(a, i, high);
}

PROGRAM(sort_quick)
{
	u64 a[300], seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < COUNT(a); i++)
		a[i] = next(&seed) % 1000;
	quick(a, 0, COUNT(a) - 1);
	for (u32 i = 0; i < COUNT(a); i++)
		digest = mix(digest, a[i] * i);
	return digest;
}
