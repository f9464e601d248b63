/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fibonacci numbers of 1024 bits, with carries. */
#include "corpus.h"

PROGRAM(big_fibonacci)
{
	u64 a[16] = {0}, b[16] = {1}, digest = corpus_seed;

	for (int n = 0; n < 700; n++) {
		unsigned char carry = 0;
		for (int i = 0; i < 16; i++) {
			u64 sum = a[i] + b[i];
			unsigned char over = sum < a[i];
			u64 with = sum + carry;
			carry = over | (with < sum);
			a[i] = b[i];
			b[i] = with;
		}
	}
	for (int i = 0; i < 16; i++)
		digest = mix(digest, b[i]);
	return digest;
}
