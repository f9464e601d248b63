/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A stack without locks. */
#include "corpus.h"

struct node {
	struct node *next;
	u64 value;
};

static struct node *top;

static NOINLINE void push(struct node *node)
{
	node->next = __atomic_load_n(&top, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&top, &node->next, node, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

static NOINLINE struct node *pop(void)
{
	struct node *node = __atomic_load_n(&top, __ATOMIC_ACQUIRE);

	while (node && !__atomic_compare_exchange_n(&top, &node, node->next, 1, __ATOMIC_ACQUIRE,
						    __ATOMIC_ACQUIRE))
		;
	return node;
}

PROGRAM(atomic_stack)
{
	struct node nodes[40], *node;
	u64 seed = corpus_seed, digest = 0;

	top = 0;
	for (u32 i = 0; i < COUNT(nodes); i++) {
		nodes[i].value = next(&seed);
		push(&nodes[i]);
		if (seed % 3 == 0 && (node = pop()))
			digest = mix(digest, node->value);
	}
	while ((node = pop()))
		digest = mix(digest, node->value);
	return digest;
}
