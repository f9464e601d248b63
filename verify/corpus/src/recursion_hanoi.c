/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The towers of Hanoi. */
#include "corpus.h"

static u8 towers[3][12];
static u8 heights[3];
static u64 moves;

static NOINLINE void move(u32 discs, u32 from, u32 to)
{
	if (!discs)
		return;
	move(discs - 1, from, 3 - from - to);
	u8 disc = towers[from][--heights[from]];
	towers[to][heights[to]++] = disc;
	moves = mix(moves, disc << 4 | from << 2 | to);
	move(discs - 1, 3 - from - to, to);
}

PROGRAM(recursion_hanoi)
{
	moves = corpus_seed;
	memset(heights, 0, sizeof(heights));
	for (u8 disc = 8; disc > 0; disc--)
		towers[0][heights[0]++] = disc;
	move(8, 0, 2);
	return mix(moves, heights[2]);
}
