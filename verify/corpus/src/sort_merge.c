/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Merge sort from the bottom up. */
#include "corpus.h"

PROGRAM(sort_merge)
{
	u32 a[256], b[256], *from = a, *to = b;
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < COUNT(a); i++)
		a[i] = (u32)next(&seed);
	for (u32 width = 1; width < COUNT(a); width *= 2) {
		for (u32 start = 0; start < COUNT(a); start += 2 * width) {
			u32 i = start, j = start + width;
			for (u32 k = start; k < start + 2 * width; k++)
				if (j >= start + 2 * width || (i < start + width && from[i] <= from[j]))
					to[k] = from[i++];
				else
					to[k] = from[j++];
		}
		u32 *t = from;
		from = to;
		to = t;
	}
	for (u32 i = 0; i < COUNT(a); i++)
		digest = mix(digest, from[i]);
	return digest;
}
