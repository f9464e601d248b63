/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Runs all programs on the host. */
#include "corpus.h"

int printf(const char *, ...);

extern const struct program __start_programs[], __stop_programs[];

volatile u64 corpus_seed = 0x123456789abcdef1;

int main(void)
{
	for (const struct program *p = __start_programs; p < __stop_programs; p++)
		printf("%s %016lx\n", p->name, p->run());
	return 0;
}
