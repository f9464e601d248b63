/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Ackermann's function. */
#include "corpus.h"

static NOINLINE u64 ackermann(u64 m, u64 n)
{
	if (m == 0)
		return n + 1;
	return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

PROGRAM(recursion_ackermann)
{
	u64 digest = corpus_seed;

	for (u64 m = 0; m < 3; m++)
		for (u64 n = 0; n < 6; n++)
			digest = mix(digest, ackermann(m, n));
	return mix(digest, ackermann(3, 2));
}
