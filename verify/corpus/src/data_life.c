/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Conway's game of life on a torus of bytes. */
#include "corpus.h"

PROGRAM(data_life)
{
	static u8 cells[2][16][16];
	u64 seed = corpus_seed, digest = 0;

	for (int y = 0; y < 16; y++)
		for (int x = 0; x < 16; x++)
			cells[0][y][x] = (u8)(next(&seed) & 1);
	for (int generation = 0; generation < 6; generation++) {
		u8(*old)[16] = cells[generation & 1], (*new)[16] = cells[~generation & 1];
		for (int y = 0; y < 16; y++)
			for (int x = 0; x < 16; x++) {
				int around = -old[y][x];
				for (int dy = -1; dy <= 1; dy++)
					for (int dx = -1; dx <= 1; dx++)
						around += old[(y + dy) & 15][(x + dx) & 15];
				new[y][x] = around == 3 || (around == 2 && old[y][x]);
				digest = mix(digest, new[y][x]);
			}
	}
	return digest;
}
