/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A generic sort with a comparison function, and a binary search. */
#include "corpus.h"

typedef int (*comparison)(const void *, const void *);

static NOINLINE void sort(void *base, u64 count, u64 size, comparison compare)
{
	u8 *a = base, t[32];

	for (u64 i = 1; i < count; i++)
		for (u64 j = i; j > 0 && compare(a + (j - 1) * size, a + j * size) > 0; j--) {
			memcpy(t, a + j * size, size);
			memcpy(a + j * size, a + (j - 1) * size, size);
			memcpy(a + (j - 1) * size, t, size);
		}
}

static int by_number(const void *a, const void *b)
{
	s32 x = *(const s32 *)a, y = *(const s32 *)b;

	return (x > y) - (x < y);
}

struct record {
	u8 key[5];
	u16 value;
};

static int by_key(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(((struct record *)0)->key));
}

PROGRAM(pointers_generic)
{
	s32 numbers[40];
	struct record records[30];
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < COUNT(numbers); i++)
		numbers[i] = (s32)next(&seed);
	memset(records, 0, sizeof(records));
	for (u32 i = 0; i < COUNT(records); i++) {
		for (u32 j = 0; j < 5; j++)
			records[i].key[j] = (u8)(next(&seed) & 3);
		records[i].value = (u16)i;
	}
	sort(numbers, COUNT(numbers), sizeof(*numbers), by_number);
	sort(records, COUNT(records), sizeof(*records), by_key);
	for (u32 i = 0; i < COUNT(numbers); i++)
		digest = mix(digest, (u64)numbers[i]);
	for (u32 i = 0; i < COUNT(records); i++)
		digest = mix(digest, records[i].value);
	return digest;
}
