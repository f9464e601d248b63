/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Words at odd addresses, and structures without padding. */
#include "corpus.h"

struct packed {
	u8 a;
	u64 b;
	u16 c;
	u32 d;
} __attribute__((packed));

PROGRAM(arithmetic_unaligned)
{
	u8 bytes[300];
	struct packed records[9];
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < COUNT(bytes); i++)
		bytes[i] = (u8)next(&seed);
	for (u32 i = 0; i < 260; i++) {
		u64 q;
		u32 d;
		u16 w;
		memcpy(&q, bytes + i, 8);
		memcpy(&d, bytes + i + 3, 4);
		memcpy(&w, bytes + i + 5, 2);
		q = q * 3 + d - w;
		memcpy(bytes + i + 1, &q, 8);
		digest = mix(digest, q);
	}
	for (u32 i = 0; i < COUNT(records); i++) {
		records[i].a = (u8)seed;
		records[i].b = next(&seed);
		records[i].c = (u16)(records[i].b >> 3);
		records[i].d = (u32)~records[i].b;
	}
	for (u32 i = 0; i < COUNT(records); i++)
		digest = mix(digest, records[i].a + records[i].b + records[i].c + records[i].d);
	return digest;
}
