/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Atomic additions, subtractions and logic, all widths. */
#include "corpus.h"

PROGRAM(atomic_add)
{
	static u8 b;
	static u16 w;
	static u32 d;
	static u64 q;
	u64 seed = corpus_seed, digest = 0;

	b = 0, w = 0, d = 0, q = 0;
	for (int i = 0; i < 100; i++) {
		u64 x = next(&seed);
		digest = mix(digest, __atomic_fetch_add(&b, (u8)x, __ATOMIC_SEQ_CST));
		digest = mix(digest, __atomic_fetch_sub(&w, (u16)x, __ATOMIC_ACQ_REL));
		digest = mix(digest, __atomic_add_fetch(&d, (u32)x, __ATOMIC_RELAXED));
		digest = mix(digest, __atomic_fetch_or(&q, x & x << 3, __ATOMIC_SEQ_CST));
		digest = mix(digest, __atomic_fetch_and(&q, ~(x >> 1), __ATOMIC_SEQ_CST));
		digest = mix(digest, __atomic_xor_fetch(&q, x, __ATOMIC_SEQ_CST));
		digest = mix(digest, __atomic_fetch_nand(&d, (u32)x, __ATOMIC_SEQ_CST));
		__atomic_or_fetch(&w, (u16)(x >> 5), __ATOMIC_SEQ_CST);
		__atomic_and_fetch(&b, (u8)(x | 0x81), __ATOMIC_SEQ_CST);
		__atomic_fetch_add(&q, 1, __ATOMIC_SEQ_CST);
		digest = mix(digest, __atomic_sub_fetch(&q, 5, __ATOMIC_SEQ_CST) == 0);
	}
	return mix(digest, q ^ d ^ w ^ b);
}
