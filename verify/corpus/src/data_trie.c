/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A trie of words. */
#include "corpus.h"

struct node {
	u8 child[4];
	u8 words;
};

PROGRAM(data_trie)
{
	struct node nodes[250];
	u32 used = 1;
	u64 seed = corpus_seed, digest = 0;

	memset(nodes, 0, sizeof(nodes));
	for (int i = 0; i < 60; i++) {
		u32 at = 0;
		u64 word = next(&seed);
		for (u32 letters = 1 + (word >> 60) % 7; letters; letters--, word >>= 2) {
			u8 *child = &nodes[at].child[word & 3];
			if (!*child)
				*child = (u8)used++;
			at = *child;
			if (used > 240)
				break;
		}
		digest = mix(digest, ++nodes[at].words);
		digest = mix(digest, at);
	}
	return mix(digest, used);
}
