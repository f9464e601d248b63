/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Structures passed and returned by value, of all sizes. */
#include "corpus.h"

struct small { u8 a; u16 b; };
struct middle { u64 a; u32 b; };
struct large { u64 a[7]; u8 tail; };

static NOINLINE struct small turn(struct small s)
{
	return (struct small){(u8)s.b, (u16)(s.a * 257)};
}

static NOINLINE struct middle mean(struct middle a, struct middle b)
{
	return (struct middle){(a.a & b.a) + ((a.a ^ b.a) >> 1), a.b ^ b.b};
}

static NOINLINE struct large shift(struct large x, u32 by)
{
	struct large y = x;

	for (u32 i = 0; i < 7; i++)
		y.a[(i + by) % 7] = x.a[i] + y.tail;
	y.tail++;
	return y;
}

PROGRAM(calls_structures)
{
	u64 seed = corpus_seed, digest = 0;
	struct large x = {{0}, 0};

	for (u32 i = 0; i < 60; i++) {
		struct small s = turn((struct small){(u8)next(&seed), (u16)(seed >> 20)});
		struct middle m = mean((struct middle){seed, 3}, (struct middle){~seed >> 1, (u32)seed});
		x.a[i % 7] ^= seed;
		x = shift(x, i);
		digest = mix(digest, s.a + s.b + m.a + m.b + x.a[3] + x.tail);
	}
	return digest;
}
