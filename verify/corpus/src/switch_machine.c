/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A stack machine: a switch table in a loop. */
#include "corpus.h"

enum { PUSH, ADD, SUB, MUL, DUP, SWAP, OVER, DROP, AND, XOR, SHIFT, NOT, JUMP_IF, HALT };

static NOINLINE u64 interpret(const u8 *code, u64 input)
{
	u64 stack[16] = {input};
	int top = 0;

	for (u32 at = 0, steps = 0; steps < 4000; steps++) {
		u64 a = stack[top], b = top ? stack[top - 1] : 0;
		switch (code[at++]) {
		case PUSH: stack[++top] = code[at++]; break;
		case ADD: stack[--top] = a + b; break;
		case SUB: stack[--top] = b - a; break;
		case MUL: stack[--top] = a * b; break;
		case DUP: stack[++top] = a; break;
		case SWAP: stack[top] = b; stack[top - 1] = a; break;
		case OVER: stack[++top] = b; break;
		case DROP: top--; break;
		case AND: stack[--top] = a & b; break;
		case XOR: stack[--top] = a ^ b; break;
		case SHIFT: stack[--top] = b >> (a & 63); break;
		case NOT: stack[top] = ~a; break;
		case JUMP_IF: at = a ? code[at] : at + 1; top--; break;
		case HALT: return stack[top - 1] ^ (u64)top;
		}
	}
	return 0;
}

PROGRAM(switch_machine)
{
	/* x, n: x = (x * 37 + (x >> 5)) ^ n until n is 0. */
	static const u8 code[] = {PUSH, 60, SWAP, DUP, PUSH, 37, MUL, SWAP, PUSH, 5, SHIFT, ADD, OVER,
				  XOR, SWAP, PUSH, 1, SUB, DUP, JUMP_IF, 2, HALT};
	u64 digest = 0;

	for (u64 i = 0; i < 12; i++)
		digest = mix(digest, interpret(code, corpus_seed + i));
	return digest;
}
