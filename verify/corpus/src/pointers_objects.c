/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Objects with tables of methods. */
#include "corpus.h"

struct shape;

struct methods {
	u64 (*area)(const struct shape *);
	void (*grow)(struct shape *, u32 by);
};

struct shape {
	const struct methods *methods;
	u32 a, b;
};

static u64 square_area(const struct shape *s) { return (u64)s->a * s->a; }
static void square_grow(struct shape *s, u32 by) { s->a += by; }
static u64 box_area(const struct shape *s) { return (u64)s->a * s->b; }
static void box_grow(struct shape *s, u32 by) { s->a += by; s->b -= by; }
static u64 hexagon_area(const struct shape *s) { return 3 * (u64)s->a * s->a + s->b; }

static const struct methods square = {square_area, square_grow};
static const struct methods box = {box_area, box_grow};
static const struct methods hexagon = {hexagon_area, square_grow};

PROGRAM(pointers_objects)
{
	struct shape shapes[] = {{&square, 3, 0}, {&box, 4, 900}, {&hexagon, 5, 6}};
	u64 seed = corpus_seed, digest = 0;

	for (int i = 0; i < 150; i++) {
		struct shape *s = &shapes[next(&seed) % COUNT(shapes)];
		s->methods->grow(s, (u32)(seed & 7));
		digest = mix(digest, s->methods->area(s));
	}
	return digest;
}
