/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Long division of 256 by 128 bits, bit by bit. */
#include "corpus.h"

PROGRAM(big_divide)
{
	u64 seed = corpus_seed, digest = 0;

	for (int rounds = 0; rounds < 8; rounds++) {
		u64 n[4] = {next(&seed), next(&seed), next(&seed), next(&seed)}, q[4] = {0};
		u128 d = (u128)next(&seed) << 60 | next(&seed), rest = 0;
		for (int bit = 255; bit >= 0; bit--) {
			rest = rest << 1 | (n[bit / 64] >> bit % 64 & 1);
			if (rest >= d) {
				rest -= d;
				q[bit / 64] |= 1ul << bit % 64;
			}
		}
		for (int i = 0; i < 4; i++)
			digest = mix(digest, q[i]);
		digest = mix(mix(digest, (u64)rest), (u64)(rest >> 64));
	}
	return digest;
}
