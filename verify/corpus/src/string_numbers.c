/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Numbers to text and back, in several bases. */
#include "corpus.h"

static char *format(char *to, s64 number, u32 base)
{
	char reversed[66];
	u64 rest = number < 0 ? -(u64)number : (u64)number;
	int digits = 0;

	do {
		u32 digit = (u32)(rest % base);
		reversed[digits++] = (char)(digit < 10 ? '0' + digit : 'a' + digit - 10);
	} while (rest /= base);
	if (number < 0)
		*to++ = '-';
	while (digits)
		*to++ = reversed[--digits];
	*to = 0;
	return to;
}

static s64 parse(const char *from, u32 base)
{
	u64 number = 0;
	int negative = *from == '-';

	for (from += negative; *from; from++)
		number = number * base + (u64)(*from <= '9' ? *from - '0' : *from - 'a' + 10);
	return (s64)(negative ? -number : number);
}

PROGRAM(string_numbers)
{
	const u32 bases[] = {2, 3, 8, 10, 16, 36};
	char text[70];
	u64 seed = corpus_seed, digest = 0;

	for (u32 i = 0; i < 36; i++) {
		s64 number = (s64)next(&seed) >> i;
		u32 base = bases[i % COUNT(bases)];
		char *end = format(text, number, base);
		digest = mix(digest, (u64)(end - text));
		for (const char *c = text; *c; c++)
			digest = mix(digest, (u8)*c);
		digest = mix(digest, parse(text, base) == number);
	}
	return digest;
}
