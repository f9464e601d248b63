/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Birth and death of tasks. All of a scenario's tasks are built at boot. */
#include "boot_params.h"
#include "kernel.h"
#include "mm.h"
#include "sched.h"

#define EFLAGS_USER (X86_EFLAGS_IF | 2)
#define NORMAL_PRIO 120

struct task_struct init_task = { .tasks = LIST_HEAD_INIT(init_task.tasks) };
spinlock_t tasklist_lock __cacheline_aligned;

static struct task_struct idle_tasks[MAX_CPUS];
static struct task_struct *boot_task_structs; /* one for each struct boot_task */
static char (*boot_stacks)[THREAD_SIZE];
static struct boot_task *boot_tasks;

struct task_struct *idle_task(unsigned int cpu)
{
	return cpu == 0 ? &init_task : &idle_tasks[cpu];
}

/*
 * Hands the table out to the CPUs, which create their own tasks: by its index
 * in the table every task has its place in memory, whoever comes first.
 */
void fork_init(void)
{
	u32 i, nr_mm = 1;

	boot_tasks = (struct boot_task *)boot_params.tasks;
	for (i = 0; i < boot_params.nr_tasks; i++) {
		struct boot_task *b = &boot_tasks[i];
		struct percpu *pc = cpu_data(b->cpu < nr_cpu_ids ? b->cpu : 0);

		if (b->mm >= nr_mm)
			nr_mm = b->mm + 1;
		b->reserved[0] = 0;
		if (pc->last_boot_task)
			boot_tasks[pc->last_boot_task - 1].reserved[0] = i + 1;
		else
			pc->first_boot_task = i + 1;
		pc->last_boot_task = i + 1;
	}
	mm_init(nr_mm);
	boot_stacks = alloc_boot((size_t)boot_params.nr_tasks * THREAD_SIZE, THREAD_SIZE);
	boot_task_structs = alloc_boot(boot_params.nr_tasks * sizeof(struct task_struct),
				       SMP_CACHE_BYTES);
}

static void init_task_common(struct task_struct *p, void *stack, unsigned int cpu)
{
	struct thread_info *ti = stack;

	ti->task = p;
	ti->cpu = cpu;
	p->stack = stack;
	p->cpu = cpu;
	p->lock_depth = -1;
	p->thread.sp0 = (unsigned long)stack + THREAD_SIZE;
	p->prio = NORMAL_PRIO;
}

/* The first switch to the task "returns" to ret_from_fork. */
static struct inactive_task_frame *init_frame(struct task_struct *p, unsigned long sp)
{
	struct inactive_task_frame *frame = (struct inactive_task_frame *)sp - 1;

	frame->ret_addr = (unsigned long)ret_from_fork;
	p->thread.sp = (unsigned long)frame;
	return frame;
}

static void init_kernel_context(struct task_struct *p, u64 fn, u64 arg)
{
	struct inactive_task_frame *frame =
		init_frame(p, p->thread.sp0 - sizeof(struct pt_regs));

	frame->bp = 0;
	frame->bx = fn;
	frame->r12 = arg;
	p->flags |= PF_KTHREAD;
}

static void init_user_context(struct task_struct *p, const struct boot_task *b)
{
	struct pt_regs *regs = (struct pt_regs *)p->thread.sp0 - 1;
	struct inactive_task_frame *frame = init_frame(p, (unsigned long)regs);

	frame->bp = (unsigned long)regs | 1;
	frame->bx = 0;
	regs->di = b->arg;
	regs->orig_ax = -1ul;
	regs->ip = b->entry;
	regs->cs = __USER_CS;
	regs->flags = EFLAGS_USER;
	regs->sp = b->user_stack;
	regs->ss = __USER_DS;
	p->mm = mm_by_number(b->mm);
	atomic_inc(&p->mm->mm_users);
}

static void tasklist_add(struct task_struct *p)
{
	unsigned long flags;

	spin_lock_irqsave(&tasklist_lock, flags);
	list_add_tail(&p->tasks, &init_task.tasks);
	spin_unlock_irqrestore(&tasklist_lock, flags);
}

static void start_task(struct task_struct *p, bool at_head)
{
	p->start_time = sched_clock();
	tasklist_add(p);
	wake_up_new_task(p, at_head);
}

/* Mostly given in order already, so the search begins at the end. */
static void add_to_start_list(struct percpu *pc, struct task_struct *p)
{
	struct list_head *pos = pc->start_list.prev;

	while (pos != &pc->start_list &&
	       list_entry(pos, struct task_struct, start_link)->start_time > p->start_time)
		pos = pos->prev;
	list_add(&p->start_link, pos);
}

void create_boot_tasks(unsigned int cpu)
{
	struct percpu *pc = cpu_data(cpu);
	u64 i;

	for (i = pc->first_boot_task; i; i = boot_tasks[i - 1].reserved[0]) {
		const struct boot_task *b = &boot_tasks[i - 1];
		struct task_struct *p = &boot_task_structs[i - 1];

		init_task_common(p, boot_stacks[i - 1], cpu);
		memcpy(p->comm, b->comm, sizeof(p->comm));
		p->pid = (pid_t)b->pid;
		p->start_time = b->start_ns;
		if (b->flags & BOOT_TASK_FIFO) {
			p->policy = SCHED_FIFO;
			p->prio = 0;
		}
		if (b->flags & BOOT_TASK_KTHREAD)
			init_kernel_context(p, b->entry, b->arg);
		else
			init_user_context(p, b);
		if (b->start_ns)
			add_to_start_list(pc, p);
		else
			start_task(p, false);
	}
}

static noinline enum hrtimer_restart start_timer_fn(struct hrtimer *timer)
{
	struct percpu *pc = this_cpu();
	s64 now = ktime_get();

	while (!list_empty(&pc->start_list)) {
		struct task_struct *p =
			list_entry(pc->start_list.next, struct task_struct, start_link);

		if ((s64)p->start_time > now) {
			timer->expires = (s64)p->start_time;
			return HRTIMER_RESTART;
		}
		list_del(&p->start_link);
		start_task(p, true);
	}
	return HRTIMER_NORESTART;
}

/* The epoch is known: arms the timer for those that begin later. */
void start_boot_tasks(void)
{
	struct percpu *pc = this_cpu();
	s64 epoch = cycles_to_ns(boot_params.epoch_tsc);
	struct list_head *pos;

	list_for_each(pos, &pc->start_list)
		list_entry(pos, struct task_struct, start_link)->start_time += (u64)epoch;
	if (list_empty(&pc->start_list))
		return;
	pos = pc->start_list.next;
	hrtimer_init(&pc->start_timer, start_timer_fn);
	hrtimer_start(&pc->start_timer,
		      (s64)list_entry(pos, struct task_struct, start_link)->start_time);
}

/* Made asleep; wake_up_process() lets it begin. */
struct task_struct *kthread_create(void (*fn)(u64), u64 arg, unsigned int cpu, pid_t pid, int prio,
				   const char *comm)
{
	struct task_struct *p = kzalloc(sizeof(*p));

	init_task_common(p, alloc_pages_aligned(THREAD_SIZE), cpu);
	strlcpy(p->comm, comm, sizeof(p->comm));
	p->pid = pid;
	p->prio = prio;
	if (prio < MAX_RT_PRIO)
		p->policy = SCHED_FIFO;
	init_kernel_context(p, (u64)fn, arg);
	p->state = TASK_INTERRUPTIBLE;
	p->start_time = sched_clock();
	tasklist_add(p);
	return p;
}

struct task_struct *find_task_by_pid(pid_t pid)
{
	struct task_struct *found = NULL;
	struct list_head *pos;
	unsigned long flags;

	spin_lock_irqsave(&tasklist_lock, flags);
	list_for_each(pos, &init_task.tasks) {
		struct task_struct *p = list_entry(pos, struct task_struct, tasks);

		if (p->pid == pid) {
			found = p;
			break;
		}
	}
	spin_unlock_irqrestore(&tasklist_lock, flags);
	return found;
}

/* The stack and the task_struct stay: somebody may still look at them. */
noinline void do_exit(long code)
{
	struct task_struct *p = current;
	unsigned long flags;

	p->flags |= PF_EXITING;
	p->exit_code = (int)code;
	if (p->mm)
		atomic_dec(&p->mm->mm_users);
	spin_lock_irqsave(&tasklist_lock, flags);
	list_del(&p->tasks);
	spin_unlock_irqrestore(&tasklist_lock, flags);
	p->state = TASK_DEAD;
	schedule();
	BUG();
}
