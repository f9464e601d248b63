/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Pairs of words compared and exchanged at once (CMPXCHG16B and CMPXCHG8B). */
#include "corpus.h"

struct pair {
	u64 low, high;
} __attribute__((aligned(16)));

static NOINLINE int exchange16(struct pair *at, struct pair *expected, struct pair wanted)
{
	u8 done;

	__asm__ volatile("lock cmpxchg16b %1; sete %0"
			 : "=q"(done), "+m"(*at), "+a"(expected->low), "+d"(expected->high)
			 : "b"(wanted.low), "c"(wanted.high)
			 : "cc", "memory");
	return done;
}

static NOINLINE int exchange8(u64 *at, u64 *expected, u64 wanted)
{
	u32 low = (u32)*expected, high = (u32)(*expected >> 32);
	u8 done;

	__asm__ volatile("lock cmpxchg8b %1; sete %0"
			 : "=q"(done), "+m"(*at), "+a"(low), "+d"(high)
			 : "b"((u32)wanted), "c"((u32)(wanted >> 32))
			 : "cc", "memory");
	*expected = (u64)high << 32 | low;
	return done;
}

PROGRAM(atomic_wide)
{
	struct pair pair = {1, 2};
	u64 seed = corpus_seed, word = 7, digest = 0;

	for (int i = 0; i < 80; i++) {
		struct pair expected = pair, wanted = {next(&seed), seed * 3};
		u64 expected8 = i % 4 == 1 ? word + (1ul << 40) : word;
		if (i % 3 == 0)
			expected.high ^= 1;
		digest = mix(digest, (u64)exchange16(&pair, &expected, wanted));
		digest = mix(digest, expected.low ^ expected.high);
		digest = mix(digest, (u64)exchange8(&word, &expected8, seed));
		digest = mix(digest, expected8 ^ word);
	}
	return mix(digest, pair.low ^ pair.high);
}
