/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Heap sort. */
#include "corpus.h"

static NOINLINE void sift(s32 *a, u32 at, u32 end)
{
	for (u32 child; (child = 2 * at + 1) < end; at = child) {
		if (child + 1 < end && a[child] < a[child + 1])
			child++;
		if (a[at] >= a[child])
			return;
		s32 t = a[at];
		a[at] = a[child];
		a[child] = t;
	}
}

PROGRAM(sort_heap)
{
	s32 a[200];
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < COUNT(a); i++)
		a[i] = (s32)next(&seed) >> 8;
	for (u32 i = COUNT(a) / 2; i-- > 0;)
		sift(a, i, COUNT(a));
	for (u32 end = COUNT(a) - 1; end > 0; end--) {
		s32 t = a[0];
		a[0] = a[end];
		a[end] = t;
		sift(a, 0, end);
	}
	for (u32 i = 0; i < COUNT(a); i++)
		digest = mix(digest, (u64)(s64)a[i]);
	return digest;
}
