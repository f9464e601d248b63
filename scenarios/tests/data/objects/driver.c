/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A driver of a user's own: every relocation type that the linker knows. */
int printk(const char *fmt, ...);
long helper(long x); /* in helper.c */

long driver_answer = 42;
long *driver_pointer = &driver_answer; /* R_X86_64_64 */
int driver_common[2];                  /* a common symbol */
static int counts[4];                  /* .bss */

static __attribute__((noinline)) const char *name_of(unsigned long i)
{
	static const char *const names[] = { "zero", "one", "two", "three" };

	return names[i & 3]; /* R_X86_64_32S */
}

void driver_thread(unsigned long arg)
{
	counts[arg & 3] = 7;
	driver_common[1] = counts[arg & 3];
	printk("driver: %s answers %lu\n", name_of(arg), (unsigned long)helper(*driver_pointer));
}

int driver_irq(int irq, void *arg)
{
	(void)irq;
	(void)arg;
	driver_answer++;
	return 1;
}
