/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Formatted output: d i u x X c s p %, flags 0 and -, width, precision of s, l ll z. */
#include "kernel.h"

struct out {
	char *buf;
	size_t size, len;
};

struct spec {
	bool left, zero, upper;
	int width, precision, longs;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void put_padded(struct out *o, const struct spec *sp, const char *s, int n)
{
	int pad = sp->width - n;

	for (; !sp->left && pad > 0; pad--)
		put(o, ' ');
	for (; n; n--)
		put(o, *s++);
	for (; pad > 0; pad--)
		put(o, ' ');
}

static void put_number(struct out *o, struct spec *sp, u64 v, unsigned int base, bool negative)
{
	const char *digits = sp->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[32];
	int n = sizeof(text);

	do {
		text[--n] = digits[v % base];
		v /= base;
	} while (v);
	if (sp->zero) {
		int least = (int)sizeof(text) - sp->width + negative;

		while (n > least && n > 1)
			text[--n] = '0';
	}
	if (negative)
		text[--n] = '-';
	put_padded(o, sp, text + n, (int)sizeof(text) - n);
}

static void put_string(struct out *o, const struct spec *sp, const char *s)
{
	int n = 0;

	if (!s)
		s = "(null)";
	while (s[n] && (sp->precision < 0 || n < sp->precision))
		n++;
	put_padded(o, sp, s, n);
}

static const char *parse_spec(const char *f, struct spec *sp)
{
	*sp = (struct spec){ .precision = -1 };
	for (;; f++) {
		if (*f == '-')
			sp->left = true;
		else if (*f == '0')
			sp->zero = true;
		else
			break;
	}
	for (; *f >= '0' && *f <= '9'; f++)
		sp->width = sp->width * 10 + (*f - '0');
	if (*f == '.') {
		sp->precision = 0;
		for (f++; *f >= '0' && *f <= '9'; f++)
			sp->precision = sp->precision * 10 + (*f - '0');
	}
	for (; *f == 'l' || *f == 'z'; f++)
		sp->longs++;
	return f;
}

static u64 next_unsigned(const struct spec *sp, __builtin_va_list *args)
{
	return sp->longs ? __builtin_va_arg(*args, u64) : __builtin_va_arg(*args, unsigned int);
}

static void put_conversion(struct out *o, char c, struct spec *sp, __builtin_va_list *args)
{
	s64 v;
	char ch;

	switch (c) {
	case 'd':
	case 'i':
		v = sp->longs ? __builtin_va_arg(*args, s64) : __builtin_va_arg(*args, int);
		put_number(o, sp, v < 0 ? -(u64)v : (u64)v, 10, v < 0);
		break;
	case 'u':
		put_number(o, sp, next_unsigned(sp, args), 10, false);
		break;
	case 'X':
		sp->upper = true;
		/* fallthrough */
	case 'x':
		put_number(o, sp, next_unsigned(sp, args), 16, false);
		break;
	case 'p':
		sp->zero = true;
		sp->width = 16;
		put_number(o, sp, __builtin_va_arg(*args, u64), 16, false);
		break;
	case 'c':
		ch = (char)__builtin_va_arg(*args, int);
		put_padded(o, sp, &ch, 1);
		break;
	case 's':
		put_string(o, sp, __builtin_va_arg(*args, const char *));
		break;
	default:
		put(o, c);
	}
}

/* Returns the full length, whether it fitted or not. */
int vsnprintf(char *buf, size_t size, const char *fmt, __builtin_va_list args)
{
	struct out o = { buf, size, 0 };
	__builtin_va_list ap;
	struct spec sp;

	__builtin_va_copy(ap, args);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(&o, *fmt);
			continue;
		}
		fmt = parse_spec(fmt + 1, &sp);
		if (!*fmt)
			break;
		put_conversion(&o, *fmt, &sp, &ap);
	}
	__builtin_va_end(ap);
	if (size)
		buf[o.len < size ? o.len : size - 1] = '\0';
	return (int)o.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	__builtin_va_list args;
	int n;

	__builtin_va_start(args, fmt);
	n = vsnprintf(buf, size, fmt, args);
	__builtin_va_end(args);
	return n;
}
