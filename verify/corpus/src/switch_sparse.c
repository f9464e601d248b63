/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Switches with holes, ranges and large values. */
#include "corpus.h"

static NOINLINE u64 classify(s64 value)
{
	switch (value) {
	case -1: return 1;
	case 0: return 2;
	case 7: case 9: case 11: return 3;
	case 100 ... 120: return 4 + (u64)value % 3;
	case 1000: return 8;
	case 1003: return 9;
	case 1004: return 15;
	case 1009: return 10;
	case 0x7fffffff: return 11;
	case -0x80000000l: return 12;
	case 0x123456789abc: return 13;
	default: return 14;
	}
}

PROGRAM(switch_sparse)
{
	const s64 extra[] = {0x7fffffff, -0x80000000l, 0x123456789abc, 0x80000000l, -2};
	u64 digest = corpus_seed;

	for (s64 i = -5; i < 130; i++)
		digest = mix(digest, classify(i));
	for (s64 i = 995; i < 1012; i++)
		digest = mix(digest, classify(i));
	for (u32 i = 0; i < COUNT(extra); i++)
		digest = mix(digest, classify(extra[i]));
	return digest;
}
