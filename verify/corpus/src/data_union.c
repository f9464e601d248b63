/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Union and find with path compression. */
#include "corpus.h"

static u16 parent[200];

static NOINLINE u16 find(u16 x)
{
	while (parent[x] != x) {
		parent[x] = parent[parent[x]];
		x = parent[x];
	}
	return x;
}

PROGRAM(data_union)
{
	u64 seed = corpus_seed, digest = 0;

	for (u16 i = 0; i < COUNT(parent); i++)
		parent[i] = i;
	for (int i = 0; i < 150; i++) {
		u16 a = find((u16)(next(&seed) % COUNT(parent))), b = find((u16)(next(&seed) % COUNT(parent)));
		parent[a] = b;
		digest = mix(digest, a != b);
	}
	for (u16 i = 0; i < COUNT(parent); i++)
		digest = mix(digest, find(i));
	return digest;
}
