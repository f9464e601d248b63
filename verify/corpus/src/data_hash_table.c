/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A hash table with open addressing. */
#include "corpus.h"

struct slot {
	u64 key, value;
};

static struct slot table[128];

static NOINLINE struct slot *find(u64 key)
{
	u64 at = key * 0x9e3779b97f4a7c15 >> 57;

	while (table[at].key && table[at].key != key)
		at = (at + 1) % COUNT(table);
	return &table[at];
}

PROGRAM(data_hash_table)
{
	u64 seed = corpus_seed, digest = 0;

	memset(table, 0, sizeof(table));
	for (int i = 0; i < 400; i++) {
		u64 key = next(&seed) % 90 + 1;
		struct slot *slot = find(key);
		slot->key = key;
		slot->value += seed >> 32;
		digest = mix(digest, slot->value);
	}
	for (u32 i = 0; i < COUNT(table); i++)
		digest = mix(digest, table[i].key);
	return digest;
}
