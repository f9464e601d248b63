/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A binary search tree with deletion. */
#include "corpus.h"

struct node {
	struct node *child[2];
	u32 key;
};

static NOINLINE struct node **find(struct node **root, u32 key)
{
	while (*root && (*root)->key != key)
		root = &(*root)->child[key > (*root)->key];
	return root;
}

static NOINLINE void delete(struct node **place)
{
	struct node *node = *place;

	if (node->child[0] && node->child[1]) {
		struct node **least = &node->child[1];
		while ((*least)->child[0])
			least = &(*least)->child[0];
		struct node *successor = *least;
		*least = successor->child[1];
		successor->child[0] = node->child[0];
		successor->child[1] = node->child[1];
		*place = successor;
	} else {
		*place = node->child[!node->child[0]];
	}
}

static NOINLINE u64 walk(const struct node *node, u32 depth, u64 digest)
{
	if (!node)
		return digest;
	digest = walk(node->child[0], depth + 1, digest);
	digest = mix(digest, (u64)depth << 32 | node->key);
	return walk(node->child[1], depth + 1, digest);
}

PROGRAM(data_tree)
{
	struct node nodes[200], *root = 0;
	u64 seed = corpus_seed;
	u32 used = 0;

	for (u32 i = 0; i < COUNT(nodes); i++) {
		u32 key = (u32)(next(&seed) % 150);
		struct node **place = find(&root, key);
		if (*place && seed >> 60 < 9) {
			delete(place);
		} else if (!*place) {
			nodes[used] = (struct node){{0, 0}, key};
			*place = &nodes[used++];
		}
	}
	return walk(root, 0, used);
}
