/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A scanner as a state machine. */
#include "corpus.h"

enum state { BLANK, NAME, NUMBER, TEXT, COMMENT };

PROGRAM(switch_tokens)
{
	static const char source[] = "int main(void) { /* none */ return x1 + 42 * 0x1f; } \"a b\\\"c\" // end";
	enum state state = BLANK;
	u32 counts[5] = {0}, start = 0;
	u64 digest = corpus_seed;

	for (u32 i = 0; i < sizeof(source); i++) {
		char c = source[i];
		enum state old = state;
		switch (state) {
		case BLANK:
			switch (c) {
			case 'a' ... 'z': case 'A' ... 'Z': case '_': state = NAME; break;
			case '0' ... '9': state = NUMBER; break;
			case '"': state = TEXT; break;
			case '/': state = source[i + 1] == '*' || source[i + 1] == '/' ? COMMENT : BLANK;
			}
			break;
		case NAME:
			if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
				state = BLANK;
			break;
		case NUMBER:
			if (!((c >= '0' && c <= '9') || c == 'x' || (c >= 'a' && c <= 'f')))
				state = BLANK;
			break;
		case TEXT:
			if (c == '\\')
				i++;
			else if (c == '"')
				state = BLANK;
			break;
		case COMMENT:
			if (c == 0 || (c == '/' && source[i - 1] == '*' && i > start + 2))
				state = BLANK;
		}
		if (state != old) {
			counts[old]++;
			digest = mix(digest, (u64)old << 32 | (i - start));
			start = i;
		}
	}
	for (u32 i = 0; i < COUNT(counts); i++)
		digest = mix(digest, counts[i]);
	return digest;
}
