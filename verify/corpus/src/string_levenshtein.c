/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Edit distances. */
#include "corpus.h"

static u32 least(u32 a, u32 b)
{
	return a < b ? a : b;
}

PROGRAM(string_levenshtein)
{
	char a[24], b[30];
	u64 seed = corpus_seed, digest = 0;

	for (int rounds = 0; rounds < 6; rounds++) {
		u32 row[31];
		for (u32 i = 0; i < COUNT(a); i++)
			a[i] = (char)('a' + next(&seed) % 4);
		for (u32 i = 0; i < COUNT(b); i++)
			b[i] = (char)('a' + next(&seed) % 4);
		for (u32 j = 0; j <= COUNT(b); j++)
			row[j] = j;
		for (u32 i = 1; i <= COUNT(a); i++) {
			u32 diagonal = row[0];
			row[0] = i;
			for (u32 j = 1; j <= COUNT(b); j++) {
				u32 above = row[j];
				u32 changed = diagonal + (a[i - 1] != b[j - 1]);
				row[j] = least(changed, least(above, row[j - 1]) + 1);
				diagonal = above;
			}
		}
		digest = mix(digest, row[COUNT(b)]);
	}
	return digest;
}
