/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Eight queens with bit masks. */
#include "corpus.h"

static NOINLINE u32 place(u32 columns, u32 left, u32 right)
{
	u32 count = columns == 0xff;

	for (u32 free = ~(columns | left | right) & 0xff; free; free &= free - 1) {
		u32 bit = free & -free;
		count += place(columns | bit, (left | bit) << 1, (right | bit) >> 1);
	}
	return count;
}

PROGRAM(recursion_queens)
{
	return mix(corpus_seed, place(0, 0, 0));
}
