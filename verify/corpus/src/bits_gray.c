/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Gray codes. */
#include "corpus.h"

PROGRAM(bits_gray)
{
	u64 digest = corpus_seed;

	for (u16 i = 0; i < 600; i++) {
		u16 gray = i ^ i >> 1, back = gray;
		back ^= back >> 8;
		back ^= back >> 4;
		back ^= back >> 2;
		back ^= back >> 1;
		digest = mix(digest, (u32)gray << 16 | back);
	}
	return digest;
}
