/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Hofstadter's female and male sequences, and Takeuchi's function. */
#include "corpus.h"

static u32 male(u32 n);

static NOINLINE u32 female(u32 n)
{
	return n ? n - male(female(n - 1)) : 1;
}

static NOINLINE u32 male(u32 n)
{
	return n ? n - female(male(n - 1)) : 0;
}

static NOINLINE s32 tak(s32 x, s32 y, s32 z)
{
	return y >= x ? z : tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y));
}

PROGRAM(recursion_mutual)
{
	u64 digest = corpus_seed;

	for (u32 n = 0; n < 24; n++)
		digest = mix(digest, (u64)female(n) << 32 | male(n));
	return mix(digest, (u64)tak(8, 5, 2));
}
