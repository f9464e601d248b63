/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A knapsack, by recursion and by table: they must agree. */
#include "corpus.h"

static const u16 weights[] = {12, 7, 11, 8, 9, 6, 5, 14, 3, 10};
static const u16 values[] = {24, 13, 23, 15, 16, 11, 9, 28, 5, 19};

static NOINLINE u32 best(u32 item, u32 room)
{
	if (item == COUNT(weights))
		return 0;
	u32 without = best(item + 1, room);
	if (weights[item] > room)
		return without;
	u32 with = values[item] + best(item + 1, room - weights[item]);
	return with > without ? with : without;
}

PROGRAM(recursion_knapsack)
{
	u32 table[41] = {0};
	u64 digest = corpus_seed;

	for (u32 item = 0; item < COUNT(weights); item++)
		for (u32 room = 40; room >= weights[item]; room--) {
			u32 with = values[item] + table[room - weights[item]];
			if (with > table[room])
				table[room] = with;
		}
	for (u32 room = 0; room <= 40; room += 8)
		digest = mix(digest, (u64)table[room] << 32 | best(0, room));
	return digest;
}
