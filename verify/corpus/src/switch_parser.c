/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Expressions by recursive descent. */
#include "corpus.h"

static const char *at;

static s64 sum(void);

static s64 atom(void)
{
	s64 value = 0;

	switch (*at) {
	case '(':
		at++;
		value = sum();
		at++;
		return value;
	case '-':
		at++;
		return -atom();
	case '~':
		at++;
		return ~atom();
	}
	while (*at >= '0' && *at <= '9')
		value = value * 10 + *at++ - '0';
	return value;
}

static NOINLINE s64 product(void)
{
	s64 value = atom();

	for (;;)
		switch (*at) {
		case '*': at++; value *= atom(); break;
		case '/': at++; value /= atom(); break;
		case '%': at++; value %= atom(); break;
		default: return value;
		}
}

static NOINLINE s64 sum(void)
{
	s64 value = product();

	for (;;)
		switch (*at) {
		case '+': at++; value += product(); break;
		case '-': at++; value -= product(); break;
		default: return value;
		}
}

PROGRAM(switch_parser)
{
	const char *lines[] = {"1+2*3", "(1+2)*3", "-7/2", "-7%3", "2*(3+4*(5-~6))/3%11", "((((9))))",
			       "100000*100000-1", "1-2-3-4", "12/5*5+12%5"};
	u64 digest = corpus_seed;

	for (u32 i = 0; i < COUNT(lines); i++) {
		at = lines[i];
		digest = mix(digest, (u64)sum());
		digest = mix(digest, (u64)(at - lines[i]));
	}
	return digest;
}
