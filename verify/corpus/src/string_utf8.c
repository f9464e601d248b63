/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* UTF-8 encoded and decoded. */
#include "corpus.h"

static char *put(char *to, u32 c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	}
	return to;
}

PROGRAM(string_utf8)
{
	char text[400], *end = text;
	u64 seed = corpus_seed, digest = 0;

	for (int i = 0; i < 90; i++)
		end = put(end, (u32)(next(&seed) % 0x10ffff) >> i % 20);
	for (const u8 *at = (u8 *)text; at < (u8 *)end;) {
		u32 c = *at++;
		int more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
		if (more)
			c &= 0x3f >> more;
		while (more-- > 0)
			c = c << 6 | (*at++ & 0x3f);
		digest = mix(digest, c);
	}
	return digest;
}
