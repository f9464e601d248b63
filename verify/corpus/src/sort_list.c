/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Merge sort of a linked list. */
#include "corpus.h"

struct node {
	struct node *next;
	s32 key;
};

static struct node *merge(struct node *a, struct node *b)
{
	struct node head, *tail = &head;

	while (a && b) {
		struct node **from = a->key <= b->key ? &a : &b;
		tail->next = *from;
		tail = *from;
		*from = (*from)->next;
	}
	tail->next = a ? a : b;
	return head.next;
}

static NOINLINE struct node *sort(struct node *list)
{
	if (!list || !list->next)
		return list;
	struct node *slow = list, *fast = list->next;
	while (fast && fast->next) {
		slow = slow->next;
		fast = fast->next->next;
	}
	struct node *half = slow->next;
	slow->next = 0;
	return merge(sort(list), sort(half));
}

PROGRAM(sort_list)
{
	struct node nodes[150], *list = 0;
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < COUNT(nodes); i++) {
		nodes[i].key = (s32)next(&seed);
		nodes[i].next = list;
		list = &nodes[i];
	}
	for (struct node *n = sort(list); n; n = n->next)
		digest = mix(digest, (u64)(s64)n->key);
	return digest;
}
