/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Knuth, Morris and Pratt's search. */
#include "corpus.h"

PROGRAM(string_kmp)
{
	const char *pattern = "abababca";
	u32 fail[9] = {0}, matched = 0;
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 1, k = 0; i < 8; i++) {
		while (k > 0 && pattern[k] != pattern[i])
			k = fail[k];
		k += pattern[k] == pattern[i];
		fail[i + 1] = k;
	}
	for (u32 i = 0; i < 3000; i++) {
		char c = (i % 50 < 8) ? pattern[i % 50] : (char)('a' + next(&seed) % 3);
		while (matched > 0 && pattern[matched] != c)
			matched = fail[matched];
		matched += pattern[matched] == c;
		if (matched == 8) {
			digest = mix(digest, i);
			matched = fail[8];
		}
	}
	return digest;
}
