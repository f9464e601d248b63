/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* First and last bits, logarithms, powers of two. */
#include "corpus.h"

PROGRAM(bits_scan)
{
	u64 seed = corpus_seed, digest = 0;

	for (int i = 0; i < 200; i++) {
		u64 x = next(&seed) >> i % 64 | 1ul << i % 63;
		u32 y = (u32)x | 0x100;
		digest = mix(digest, (u64)__builtin_ctzl(x) << 8 | __builtin_clzl(x));
		digest = mix(digest, (u64)__builtin_ctz(y) << 8 | __builtin_clz(y));
		digest = mix(digest, __builtin_ffsl((s64)(x << 5)));
		digest = mix(digest, (x & (x - 1)) == 0);
	}
	return digest;
}
