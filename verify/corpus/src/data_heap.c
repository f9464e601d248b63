/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A priority queue of events. */
#include "corpus.h"

struct event {
	u64 at;
	u32 id;
};

static struct event heap[128];
static u32 count;

static NOINLINE void insert(struct event event)
{
	u32 at = count++;

	for (; at && event.at < heap[(at - 1) / 2].at; at = (at - 1) / 2)
		heap[at] = heap[(at - 1) / 2];
	heap[at] = event;
}

static NOINLINE struct event take(void)
{
	struct event first = heap[0], last = heap[--count];
	u32 at = 0;

	for (u32 child; (child = 2 * at + 1) < count; at = child) {
		child += child + 1 < count && heap[child + 1].at < heap[child].at;
		if (last.at <= heap[child].at)
			break;
		heap[at] = heap[child];
	}
	heap[at] = last;
	return first;
}

PROGRAM(data_heap)
{
	u64 seed = corpus_seed, digest = 0;

	count = 0;
	for (u32 i = 0; i < 250; i++) {
		insert((struct event){next(&seed) >> 20, i});
		if (count == COUNT(heap) || seed % 5 == 0)
			digest = mix(digest, take().id);
	}
	while (count)
		digest = mix(digest, take().at);
	return digest;
}
