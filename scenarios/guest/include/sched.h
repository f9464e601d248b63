/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tasks, run queues and the per-CPU area. */
#ifndef GUEST_SCHED_H
#define GUEST_SCHED_H

#include "cpumask.h"
#include "list.h"
#include "mutex.h"
#include "ptrace.h"
#include "timer.h"
#include "wait.h"

#define TASK_RUNNING 0
#define TASK_INTERRUPTIBLE 1
#define TASK_UNINTERRUPTIBLE 2
#define TASK_DEAD 64
#define TASK_WAKEKILL 128
#define TASK_WAKING 256
#define TASK_KILLABLE (TASK_WAKEKILL | TASK_UNINTERRUPTIBLE)
#define TASK_NORMAL (TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE)

#define SCHED_NORMAL 0
#define SCHED_FIFO 1
#define MAX_RT_PRIO 100

#define PF_EXITING 0x00000004
#define PF_KTHREAD 0x00200000

#define TS_POLLING 0x0004 /* thread_info.status: idle and watching the flags */

#define SOFTIRQ_OFFSET 0x00000100
#define HARDIRQ_OFFSET 0x00010000
#define HARDIRQ_MASK 0x03ff0000
#define NMI_OFFSET 0x04000000

struct task_struct;

/* Lies at the low end of the 8 KiB kernel stack. */
struct thread_info {
	struct task_struct *task;
	void *exec_domain;
	volatile u32 flags;
	volatile u32 status;
	u32 cpu;
	int preempt_count;
};

_Static_assert(offsetof(struct thread_info, flags) == TI_FLAGS, "layout");

struct thread_struct {
	unsigned long sp0; /* top of the kernel stack */
	unsigned long sp;  /* of a task that is not running: inactive_task_frame */
};

/* What __switch_to_asm leaves on the stack of a task that is not running. */
struct inactive_task_frame {
	unsigned long r15, r14, r13, r12, bx, bp, ret_addr;
};

struct sched_entity {
	struct list_head run_list;
	unsigned int on_rq;
	unsigned int time_slice; /* ticks left */
};

struct task_struct {
	volatile long state;
	void *stack;
	unsigned int flags;
	int lock_depth; /* of the BKL, -1: not held */
	struct thread_struct thread;
	pid_t pid;
	u32 cpu;
	char comm[16];
	struct mm_struct *mm, *active_mm;
	int prio; /* below MAX_RT_PRIO: real time */
	unsigned int policy;
	struct sched_entity se;
	struct list_head tasks;
	unsigned long nvcsw, nivcsw;
	unsigned long last_switch_count; /* of khungtaskd */
	u64 start_time;
	struct list_head start_link;
	void (*thread_fn)(u64);
	u64 thread_arg;
	int exit_code;
	int exit_signal; /* pending fatal signal */
};

_Static_assert(offsetof(struct task_struct, thread.sp) == TASK_THREAD_SP, "layout");

struct rq {
	spinlock_t lock;
	unsigned int nr_running;
	unsigned long nr_switches;
	struct task_struct *curr, *idle;
	struct mm_struct *prev_mm;
	struct list_head rt_queue;   /* FIFO */
	struct list_head cfs_queue;  /* round robin */
	long nr_uninterruptible;
	unsigned int cpu;
};

#define TLBSTATE_OK 1
#define TLBSTATE_LAZY 2

struct tlb_state {
	struct mm_struct *active_mm;
	int state;
};

struct call_single_queue {
	struct list_head list;
	spinlock_t lock;
};

/* Of both lockup detectors, and of the perf event of the hard one. */
struct watchdog_state {
	struct task_struct *thread;
	struct hrtimer hrtimer;
	u64 touch_ts; /* ns, 0: take the next check as the beginning */
	unsigned long hrtimer_interrupts;
	unsigned long hrtimer_interrupts_saved;
	bool nmi_touch;
	bool hard_warned;
	bool soft_warned;
	s64 period_left;
	u64 prev_count;
};

struct percpu {
	unsigned long old_rsp;
	unsigned long kernel_stack; /* sp0 of the current task */
	unsigned long irq_stack_ptr;
	int irq_count; /* -1: not on the interrupt stack */
	unsigned int cpu_number;
	struct task_struct *current_task;
	struct percpu *self;
	unsigned int softirq_pending;
	bool is_idle;
	unsigned long next_timer; /* no timer of the wheel is earlier */
	u32 first_boot_task, last_boot_task; /* index + 1 of this CPU's */
	struct pt_regs *irq_regs;            /* what the interrupt met */
	u64 irq_stat_resched, irq_stat_call, irq_stat_tlb, nmi_count;
	struct tlb_state cpu_tlbstate __cacheline_aligned;
	struct rq rq __cacheline_aligned;
	struct hrtimer_cpu_base hrtimer_base __cacheline_aligned;
	struct tick_sched tick __cacheline_aligned;
	struct call_single_queue call_queue __cacheline_aligned;
	struct watchdog_state watchdog __cacheline_aligned;
	struct list_head start_list; /* tasks that begin later, ascending */
	struct hrtimer start_timer;
} __aligned(64);

_Static_assert(offsetof(struct percpu, old_rsp) == PC_OLD_RSP, "layout");
_Static_assert(offsetof(struct percpu, kernel_stack) == PC_KERNEL_STACK, "layout");
_Static_assert(offsetof(struct percpu, irq_stack_ptr) == PC_IRQ_STACK_PTR, "layout");
_Static_assert(offsetof(struct percpu, irq_count) == PC_IRQ_COUNT, "layout");

extern struct percpu per_cpu_area[MAX_CPUS];

#define percpu_field(type, field)                                               \
	({                                                                      \
		type __v;                                                       \
		__asm__("mov %%gs:%c1, %0"                                      \
			: "=r"(__v) : "i"(offsetof(struct percpu, field)));     \
		__v;                                                            \
	})

#define current percpu_field(struct task_struct *, current_task)
#define this_cpu() percpu_field(struct percpu *, self)
#define smp_processor_id() percpu_field(unsigned int, cpu_number)
#define cpu_data(cpu) (&per_cpu_area[cpu])
#define cpu_rq(cpu) (&per_cpu_area[cpu].rq)

static inline struct thread_info *task_thread_info(struct task_struct *p)
{
	return p->stack;
}

/* Not through current: the stack pointer of this_cpu() changes first. */
static inline struct thread_info *current_thread_info(void)
{
	unsigned long top;

	__asm__ volatile("movq %%gs:%c1, %0" : "=r"(top) : "i"(PC_KERNEL_STACK));
	return (struct thread_info *)(top - THREAD_SIZE);
}

static inline bool need_resched(void)
{
	return current_thread_info()->flags & _TIF_NEED_RESCHED;
}

static inline bool in_interrupt(void)
{
	return current_thread_info()->preempt_count >= SOFTIRQ_OFFSET;
}

static inline bool signal_pending(struct task_struct *p)
{
	return task_thread_info(p)->flags & _TIF_SIGPENDING;
}

/* Uninterruptible sleeps ignore signals; there is no non-fatal one here. */
static inline bool signal_pending_state(long state, struct task_struct *p)
{
	return (state & (TASK_INTERRUPTIBLE | TASK_WAKEKILL)) && signal_pending(p);
}

#define __set_current_state(s) (current->state = (s))

/* Store and full barrier in one locked instruction. */
static inline void set_current_state(long s)
{
	__asm__ volatile("xchgq %0, %1" : "+r"(s), "+m"(current->state) : : "memory");
}

static inline void irq_enter(void)
{
	struct thread_info *ti = current_thread_info();

	if (unlikely(this_cpu()->is_idle) && ti->preempt_count < SOFTIRQ_OFFSET)
		tick_check_idle();
	ti->preempt_count += HARDIRQ_OFFSET;
}

void irq_exit(void);

extern struct task_struct init_task;
extern spinlock_t tasklist_lock;

void sched_init_cpu(int cpu, struct task_struct *idle);
void schedule(void);
void yield(void);
void scheduler_tick(void);
void resched_task(struct task_struct *p);
int try_to_wake_up(struct task_struct *p, unsigned int state, int wake_flags);
int wake_up_process(struct task_struct *p);
void wake_up_new_task(struct task_struct *p, bool at_head);
void schedule_tail(struct task_struct *prev);
int _cond_resched(void);

static inline void might_sleep(void)
{
	if (unlikely(need_resched()))
		_cond_resched();
}
#define cond_resched() might_sleep()

void cpu_idle(void);

/* bkl.c */
extern spinlock_t kernel_flag;
void lock_kernel(void);
void unlock_kernel(void);
int __reacquire_kernel_lock(void);
void __release_kernel_lock(void);

static inline void release_kernel_lock(struct task_struct *p)
{
	if (unlikely(p->lock_depth >= 0))
		__release_kernel_lock();
}

static inline int reacquire_kernel_lock(struct task_struct *p)
{
	return unlikely(p->lock_depth >= 0) ? __reacquire_kernel_lock() : 0;
}

/* fork.c */
void fork_init(void);
void create_boot_tasks(unsigned int cpu);
void start_boot_tasks(void);
struct task_struct *idle_task(unsigned int cpu);
struct task_struct *kthread_create(void (*fn)(u64), u64 arg, unsigned int cpu, pid_t pid, int prio,
				   const char *comm);
struct task_struct *find_task_by_pid(pid_t pid);
void do_exit(long code);

/* Assembly. */
struct task_struct *__switch_to_asm(struct task_struct *prev, struct task_struct *next);
void ret_from_fork(void);

#endif
