/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Length, comparison, copying and searching, byte by byte. */
#include "corpus.h"

static u64 length(const char *s)
{
	const char *end = s;

	while (*end)
		end++;
	return (u64)(end - s);
}

static int compare(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (u8)*a - (u8)*b;
}

PROGRAM(string_basic)
{
	const char *words[] = {"spin", "spinlock", "", "mutex", "rwsem", "spin", "zz\xff", "zz\x01"};
	char buffer[64];
	u64 digest = corpus_seed;

	for (u32 i = 0; i < COUNT(words); i++)
		for (u32 j = 0; j < COUNT(words); j++) {
			char *to = buffer;
			for (const char *c = words[i]; (*to = *c); to++, c++)
				;
			for (const char *c = words[j]; (*to = *c); to++, c++)
				;
			digest = mix(digest, length(buffer));
			digest = mix(digest, (u64)(s64)compare(buffer, words[j]));
			digest = mix(digest, (u64)(s64)compare(words[i], words[j]));
		}
	return digest;
}
