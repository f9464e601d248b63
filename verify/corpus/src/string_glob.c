/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Wildcards, recursively. */
#include "corpus.h"

static NOINLINE int match(const char *pattern, const char *text)
{
	switch (*pattern) {
	case 0:
		return !*text;
	case '*':
		return match(pattern + 1, text) || (*text && match(pattern, text + 1));
	case '?':
		return *text && match(pattern + 1, text + 1);
	default:
		return *pattern == *text && match(pattern + 1, text + 1);
	}
}

PROGRAM(string_glob)
{
	const char *patterns[] = {"*", "a*b*c", "??x*", "", "*lock*", "a?c", "***z"};
	const char *texts[] = {"", "abc", "aXbYc", "spinlock_t", "zzz", "abxabxab", "a"};
	u64 digest = corpus_seed;

	for (u32 i = 0; i < COUNT(patterns); i++)
		for (u32 j = 0; j < COUNT(texts); j++)
			digest = mix(digest, (u64)match(patterns[i], texts[j]));
	return digest;
}
