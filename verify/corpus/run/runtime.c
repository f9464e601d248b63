/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What compilers call on their own. */
#include "corpus.h"

void *memcpy(void *to, const void *from, u64 bytes)
{
	u8 *t = to;
	const u8 *f = from;

	while (bytes--)
		*t++ = *f++;
	return to;
}

void *memmove(void *to, const void *from, u64 bytes)
{
	u8 *t = to;
	const u8 *f = from;

	if (t <= f)
		return memcpy(to, from, bytes);
	while (bytes--)
		t[bytes] = f[bytes];
	return to;
}

void *memset(void *to, int byte, u64 bytes)
{
	u8 *t = to;

	while (bytes--)
		*t++ = (u8)byte;
	return to;
}

int memcmp(const void *a, const void *b, u64 bytes)
{
	const u8 *x = a, *y = b;

	for (; bytes; bytes--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

u128 __udivmodti4(u128 n, u128 d, u128 *rest)
{
	u128 q = 0, r = 0;

	for (int bit = 127; bit >= 0; bit--) {
		r = r << 1 | (n >> bit & 1);
		if (r >= d) {
			r -= d;
			q |= (u128)1 << bit;
		}
	}
	if (rest)
		*rest = r;
	return q;
}

u128 __udivti3(u128 n, u128 d)
{
	return __udivmodti4(n, d, 0);
}

u128 __umodti3(u128 n, u128 d)
{
	u128 rest;

	__udivmodti4(n, d, &rest);
	return rest;
}

s128 __divti3(s128 n, s128 d)
{
	u128 q = __udivti3(n < 0 ? -(u128)n : (u128)n, d < 0 ? -(u128)d : (u128)d);

	return (s128)((n < 0) != (d < 0) ? -q : q);
}

s128 __modti3(s128 n, s128 d)
{
	u128 r = __umodti3(n < 0 ? -(u128)n : (u128)n, d < 0 ? -(u128)d : (u128)d);

	return (s128)(n < 0 ? -r : r);
}
