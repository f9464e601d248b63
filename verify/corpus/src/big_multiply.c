/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Schoolbook and Karatsuba products of 512 bits: they must agree. */
#include "corpus.h"

#define N 8

static void school(u64 *r, const u64 *a, const u64 *b, int n)
{
	memset(r, 0, 2 * n * sizeof(*r));
	for (int i = 0; i < n; i++) {
		u64 carry = 0;
		for (int j = 0; j < n; j++) {
			u128 t = (u128)a[i] * b[j] + r[i + j] + carry;
			r[i + j] = (u64)t;
			carry = (u64)(t >> 64);
		}
		r[i + n] = carry;
	}
}

static u64 add(u64 *r, const u64 *a, const u64 *b, int n)
{
	u64 carry = 0;

	for (int i = 0; i < n; i++) {
		u128 t = (u128)a[i] + b[i] + carry;
		r[i] = (u64)t;
		carry = (u64)(t >> 64);
	}
	return carry;
}

static void subtract(u64 *r, const u64 *b, int n, int length)
{
	u64 borrow = 0;

	for (int i = 0; i < length; i++) {
		u128 t = (u128)r[i] - (i < n ? b[i] : 0) - borrow;
		r[i] = (u64)t;
		borrow = (u64)(t >> 64) & 1;
	}
}

static NOINLINE void karatsuba(u64 *r, const u64 *a, const u64 *b, int n)
{
	u64 sa[N], sb[N], middle[2 * N];
	int h = n / 2;

	if (n == 1) {
		school(r, a, b, 1);
		return;
	}
	/* One limb more, for the carries of the sums. */
	sa[h] = add(sa, a, a + h, h);
	sb[h] = add(sb, b, b + h, h);
	school(middle, sa, sb, h + 1);
	karatsuba(r, a, b, h);
	karatsuba(r + n, a + h, b + h, h);
	subtract(middle, r, n, n + 2);
	subtract(middle, r + n, n, n + 2);
	u64 carry = add(r + h, r + h, middle, n);
	for (int i = h + n; i < 2 * n; i++) {
		u128 t = (u128)r[i] + carry + (i - h - n < 2 ? middle[i - h] : 0);
		r[i] = (u64)t;
		carry = (u64)(t >> 64);
	}
}

PROGRAM(big_multiply)
{
	u64 a[N], b[N], r[2 * N], s[2 * N], seed = corpus_seed, digest = 0;

	for (int rounds = 0; rounds < 6; rounds++) {
		for (int i = 0; i < N; i++) {
			a[i] = next(&seed);
			b[i] = rounds == 3 ? ~0ul : next(&seed);
		}
		school(r, a, b, N);
		karatsuba(s, a, b, N);
		digest = mix(digest, (u64)memcmp(r, s, sizeof(r)));
		for (int i = 0; i < 2 * N; i++)
			digest = mix(digest, s[i]);
	}
	return digest;
}
