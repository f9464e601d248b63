/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Messages, assertions, strings and the ways to die. */
#ifndef GUEST_KERNEL_H
#define GUEST_KERNEL_H

#include "ptrace.h"
#include "types.h"

#define UTS_RELEASE "2.6.32-latchup"

/* A byte written here ends the run of the whole machine. */
#define EXIT_PORT 0xf4
#define PANIC_EXIT_CODE 1

int printk(const char *fmt, ...) __printf(1, 2);
int vsnprintf(char *buf, size_t size, const char *fmt, __builtin_va_list args);
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
void console_write(const char *s, size_t n);
void bust_spinlocks(int yes);

/* Keeps reports of several lines by different CPUs apart; may be nested. */
void report_begin(void);
void report_end(void);
extern int oops_in_progress;

void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strlcpy(char *dst, const char *src, size_t size);

/* Not declared noreturn: a return address behind the call keeps its symbol. */
void panic(const char *fmt, ...) __printf(1, 2);
void die(const char *what, struct pt_regs *regs, long err);
void smp_send_stop(void);
void machine_kexec(void);
void crash_kexec(struct pt_regs *regs);

void dump_stack(void);
void show_regs(struct pt_regs *regs);
void show_trace(unsigned long ip, unsigned long bp);
void print_symbol_line(const char *prefix, unsigned long addr);

/* Looks @addr up; false if no symbol covers it. */
bool kallsyms_lookup(unsigned long addr, const char **name, unsigned long *off,
		     unsigned long *size, const char **module);

#define BUG()                                                                  \
	do {                                                                   \
		printk("kernel BUG at %s:%d!\n", __FILE__, __LINE__);          \
		__asm__ volatile("ud2");                                       \
	} while (0)
#define BUG_ON(c)              \
	do {                   \
		if (unlikely(c)) \
			BUG(); \
	} while (0)
#define WARN_ON_ONCE(c)                                                              \
	do {                                                                         \
		static bool __warned;                                                \
		if (unlikely(c) && !__warned) {                                      \
			__warned = true;                                             \
			report_begin();                                              \
			printk("WARNING: at %s:%d %s()\n", __FILE__, __LINE__, __func__); \
			dump_stack();                                                \
			report_end();                                                \
		}                                                                    \
	} while (0)

/* Notifier chains. */
struct notifier_block {
	int (*notifier_call)(struct notifier_block *nb, unsigned long val, void *data);
	struct notifier_block *next;
	int priority;
};

struct atomic_notifier_head {
	struct notifier_block *head;
};

#define NOTIFY_DONE 0
#define NOTIFY_STOP 0x8001
#define NOTIFY_STOP_MASK 0x8000
#define DIE_NMI_IPI 8

struct die_args {
	struct pt_regs *regs;
	long err;
};

extern struct atomic_notifier_head die_chain;
void atomic_notifier_chain_register(struct atomic_notifier_head *nh, struct notifier_block *nb);
int atomic_notifier_call_chain(struct atomic_notifier_head *nh, unsigned long val, void *v);
int notify_die(unsigned long val, struct pt_regs *regs, long err);

#endif
