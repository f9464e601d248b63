/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bits set, cleared and flipped atomically in a bitmap. */
#include "corpus.h"

static u64 bitmap[8];

static NOINLINE int set(u32 bit)
{
	u64 mask = 1ul << bit % 64;

	return (__atomic_fetch_or(&bitmap[bit / 64], mask, __ATOMIC_SEQ_CST) & mask) != 0;
}

static NOINLINE int clear(u32 bit)
{
	u64 mask = 1ul << bit % 64;

	return (__atomic_fetch_and(&bitmap[bit / 64], ~mask, __ATOMIC_SEQ_CST) & mask) != 0;
}

static NOINLINE int flip(u32 bit)
{
	u64 mask = 1ul << bit % 64;

	return (__atomic_fetch_xor(&bitmap[bit / 64], mask, __ATOMIC_SEQ_CST) & mask) != 0;
}

PROGRAM(atomic_bits)
{
	u64 seed = corpus_seed, digest = 0;

	memset(bitmap, 0, sizeof(bitmap));
	for (int i = 0; i < 300; i++) {
		u32 bit = (u32)(next(&seed) % 512);
		digest = mix(digest, (u64)(i % 3 == 0 ? flip(bit) : i % 3 == 1 ? set(bit) : clear(bit)));
		digest = mix(digest, (__atomic_fetch_or(&bitmap[3], 1ul << 17, __ATOMIC_SEQ_CST) >> 17 & 1));
	}
	for (u32 i = 0; i < COUNT(bitmap); i++)
		digest = mix(digest, bitmap[i]);
	return digest;
}
