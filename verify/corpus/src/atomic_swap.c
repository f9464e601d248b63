/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Exchanges and comparisons with exchange, all widths. */
#include "corpus.h"

PROGRAM(atomic_swap)
{
	static u8 b;
	static u16 w;
	static u32 d;
	static u64 q;
	u64 seed = corpus_seed, digest = 0;

	b = 0, w = 0, d = 0, q = 0;
	for (int i = 0; i < 100; i++) {
		u64 x = next(&seed), expected = i & 1 ? q : x;
		u32 expected32 = i & 2 ? d : (u32)x;
		u8 expected8 = i & 1 ? b : (u8)x;
		digest = mix(digest, __atomic_exchange_n(&b, (u8)x, __ATOMIC_SEQ_CST));
		digest = mix(digest, __atomic_exchange_n(&w, (u16)x, __ATOMIC_ACQUIRE));
		digest = mix(digest, __atomic_compare_exchange_n(&q, &expected, x, 0, 5, 5));
		digest = mix(digest, __atomic_compare_exchange_n(&d, &expected32, (u32)~x, 0, 5, 5));
		digest = mix(digest, __atomic_compare_exchange_n(&b, &expected8, (u8)~x, 0, 5, 5));
		digest = mix(digest, expected ^ expected32 ^ expected8);
	}
	return mix(digest, q ^ d ^ w ^ b);
}
