/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The system call tables, and the calls that belong to no other file. */
#include "asm_defs.h"
#include "irq.h"
#include "kernel.h"
#include "mm.h"
#include "sched.h"

#define SYSCALL(name) long name(void)
SYSCALL(sys_read);
SYSCALL(sys_write);
SYSCALL(sys_open);
SYSCALL(sys_mmap);
SYSCALL(sys_mprotect);
SYSCALL(sys_munmap);
SYSCALL(sys_ioctl);
SYSCALL(sys_execve);
SYSCALL(sys_fcntl);
SYSCALL(sys_flock);
SYSCALL(sys_epoll_wait);

struct timespec {
	s64 tv_sec, tv_nsec;
};

long sys_ni_syscall(void);
noinline long sys_ni_syscall(void)
{
	return -ENOSYS;
}

static noinline long sys_sched_yield(void)
{
	yield();
	return 0;
}

static noinline long sys_getpid(void)
{
	return current->pid;
}

static noinline long sys_nanosleep(u64 rqtp)
{
	struct timespec ts;

	if (copy_from_user(&ts, rqtp, sizeof(ts)))
		return -EFAULT;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= (s64)NSEC_PER_SEC)
		return -EINVAL;
	return hrtimer_nanosleep(ts.tv_sec * (s64)NSEC_PER_SEC + ts.tv_nsec);
}

static noinline long sys_exit(u64 code)
{
	do_exit((long)code);
	return 0;
}

/* A group is a single task. */
static noinline long sys_exit_group(u64 code)
{
	do_exit((long)code);
	return 0;
}

/* Every signal is deadly; sleeps that are interruptible end at once. */
static noinline long sys_kill(u64 pid, u64 sig)
{
	struct task_struct *p = find_task_by_pid((pid_t)pid);

	if (!p)
		return -ESRCH;
	if (!sig)
		return 0;
	p->exit_signal = (int)sig;
	set_bit(TIF_SIGPENDING, &task_thread_info(p)->flags);
	if (!try_to_wake_up(p, TASK_INTERRUPTIBLE | TASK_WAKEKILL, 0))
		smp_send_reschedule((int)p->cpu);
	return 0;
}

/* Holds the BKL for so many nanoseconds. */
static noinline long sys_hold_bkl(u64 ns)
{
	lock_kernel();
	ndelay(ns);
	unlock_kernel();
	return 0;
}

/* Sleeps as a task does whose disk is gone: for @ns, or for ever if 0. */
static noinline long sys_uninterruptible_wait(u64 ns)
{
	struct completion never;

	init_completion(&never);
	if (ns)
		wait_for_completion_timeout(&never, nsecs_to_jiffies(ns));
	else
		wait_for_completion(&never);
	return 0;
}

static noinline long sys_log(u64 ptr, u64 len)
{
	char text[256];

	if (len >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, ptr, len))
		return -EFAULT;
	text[len] = '\0';
	printk("%s", text);
	return 0;
}

/* Called from assembly with up to six arguments, whatever the function takes. */
typedef void (*syscall_t)(void);
#define CALL(f) ((syscall_t)(f))

#pragma GCC diagnostic ignored "-Wcast-function-type"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#else
#pragma GCC diagnostic ignored "-Woverride-init"
#endif

const syscall_t sys_call_table[NR_SYSCALL_MAX + 1] = {
	[0 ... NR_SYSCALL_MAX] = CALL(sys_ni_syscall),
	[0] = CALL(sys_read),
	[1] = CALL(sys_write),
	[2] = CALL(sys_open),
	[9] = CALL(sys_mmap),
	[10] = CALL(sys_mprotect),
	[11] = CALL(sys_munmap),
	[16] = CALL(sys_ioctl),
	[24] = CALL(sys_sched_yield),
	[35] = CALL(sys_nanosleep),
	[39] = CALL(sys_getpid),
	[59] = CALL(sys_execve),
	[60] = CALL(sys_exit),
	[62] = CALL(sys_kill),
	[72] = CALL(sys_fcntl),
	[73] = CALL(sys_flock),
	[231] = CALL(sys_exit_group),
	[232] = CALL(sys_epoll_wait),
};

const syscall_t latchup_call_table[NR_LATCHUP_SYSCALLS] = {
	CALL(sys_hold_bkl),
	CALL(sys_uninterruptible_wait),
	CALL(sys_log),
};

/* On the way back to user mode with something left to do. */
void do_notify_resume(struct pt_regs *regs);
noinline void do_notify_resume(struct pt_regs *regs)
{
	(void)regs;
	if (need_resched())
		schedule();
	if (signal_pending(current))
		do_exit(current->exit_signal);
}
