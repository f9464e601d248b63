/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A sequence lock with fences. */
#include "corpus.h"

static u32 sequence;
static u64 data[4];

static NOINLINE void write(u64 value)
{
	__atomic_store_n(&sequence, sequence + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (u32 i = 0; i < COUNT(data); i++)
		data[i] = value * (i + 1);
	__atomic_store_n(&sequence, sequence + 1, __ATOMIC_RELEASE);
}

static NOINLINE u64 read(void)
{
	u64 sum;
	u32 before;

	do {
		before = __atomic_load_n(&sequence, __ATOMIC_ACQUIRE);
		sum = 0;
		for (u32 i = 0; i < COUNT(data); i++)
			sum += data[i];
		__builtin_ia32_pause();
	} while (before & 1 || before != __atomic_load_n(&sequence, __ATOMIC_SEQ_CST));
	return sum ^ before;
}

PROGRAM(atomic_sequence)
{
	u64 seed = corpus_seed, digest = 0;

	sequence = 0;
	for (int i = 0; i < 60; i++) {
		write(next(&seed));
		digest = mix(digest, read());
	}
	return digest;
}
