/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Registers saved by every entry stub. A stub leaves (address | 1) in RBP,
 * so that a walk along frame pointers knows where a saved context lies.
 */
#ifndef GUEST_PTRACE_H
#define GUEST_PTRACE_H

#include "asm_defs.h"
#include "types.h"

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8;
	unsigned long ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};

_Static_assert(sizeof(struct pt_regs) == R_SIZE, "layout");
_Static_assert(offsetof(struct pt_regs, r11) == R_R11, "layout");
_Static_assert(offsetof(struct pt_regs, cx) == R_RCX, "layout");
_Static_assert(offsetof(struct pt_regs, orig_ax) == R_ORIG_RAX, "layout");
_Static_assert(offsetof(struct pt_regs, cs) == R_CS, "layout");

static inline bool user_mode(const struct pt_regs *regs)
{
	return regs->cs & 3;
}

#endif
