/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Threaded code: jumps to computed labels. */
#include "corpus.h"

PROGRAM(pointers_goto)
{
	static const u8 code[] = {0, 1, 2, 0, 3, 1, 4, 2, 3, 0, 1, 5};
	const void *const labels[] = {&&add, &&rotate, &&multiply, &&xor, &&negate, &&again};
	u64 x = corpus_seed;
	u32 at = 0, rounds = 0;

	goto *labels[code[at++]];
add:
	x += 0x9e3779b97f4a7c15;
	goto *labels[code[at++]];
rotate:
	x = x << 23 | x >> 41;
	goto *labels[code[at++]];
multiply:
	x *= 0xd6e8feb86659fd93;
	goto *labels[code[at++]];
xor:
	x ^= x >> 32;
	goto *labels[code[at++]];
negate:
	x = -x;
	goto *labels[code[at++]];
again:
	at = 0;
	if (++rounds < 50)
		goto *labels[code[at++]];
	return x;
}
