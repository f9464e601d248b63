/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A table of functions. */
#include "corpus.h"

typedef u64 (*operation)(u64, u64);

static u64 add(u64 a, u64 b) { return a + b; }
static u64 subtract(u64 a, u64 b) { return a - b; }
static u64 multiply(u64 a, u64 b) { return a * b; }
static u64 divide(u64 a, u64 b) { return b ? a / b : 0; }
static u64 remain(u64 a, u64 b) { return b ? a % b : a; }
static u64 shift(u64 a, u64 b) { return a << (b & 63); }
static u64 average(u64 a, u64 b) { return (a & b) + ((a ^ b) >> 1); }

static operation operations[] = {add, subtract, multiply, divide, remain, shift, average};

PROGRAM(pointers_dispatch)
{
	u64 seed = corpus_seed, digest = 0;

	for (int i = 0; i < 300; i++) {
		u64 choice = next(&seed);
		digest = mix(digest, operations[choice % COUNT(operations)](choice, choice >> 40));
	}
	return digest;
}
