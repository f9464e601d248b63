/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A ring buffer of bytes with wrap-around copies. */
#include "corpus.h"

PROGRAM(data_ring)
{
	u8 ring[64], chunk[40];
	u32 head = 0, tail = 0;
	u64 seed = corpus_seed, digest = 0;

	for (int i = 0; i < 200; i++) {
		u32 n = (u32)(next(&seed) % COUNT(chunk)), room = 64 - (head - tail);
		for (u32 j = 0; j < n; j++)
			chunk[j] = (u8)(seed >> j % 50);
		n = n < room ? n : room;
		u32 first = 64 - head % 64 < n ? 64 - head % 64 : n;
		memcpy(ring + head % 64, chunk, first);
		memcpy(ring, chunk + first, n - first);
		head += n;
		for (u32 take = (u32)(next(&seed) % 30); take && tail != head; take--)
			digest = mix(digest, ring[tail++ % 64]);
	}
	return mix(digest, head);
}
