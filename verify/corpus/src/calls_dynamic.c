/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Arrays on the stack whose size is known at run time. */
#include "corpus.h"

static NOINLINE u64 convolve(u32 n, u64 seed)
{
	u32 a[n], b[2 * n];
	u64 digest = 0;

	memset(b, 0, sizeof(b));
	for (u32 i = 0; i < n; i++)
		a[i] = (u32)next(&seed);
	for (u32 i = 0; i < n; i++)
		for (u32 j = 0; j < n; j++)
			b[i + j] += a[i] * a[j];
	for (u32 i = 0; i < 2 * n; i++)
		digest = mix(digest, b[i]);
	return digest;
}

PROGRAM(calls_dynamic)
{
	u64 digest = 0;

	for (u32 n = 1; n < 16; n++)
		digest = mix(digest, convolve(n, corpus_seed + n));
	return digest;
}
