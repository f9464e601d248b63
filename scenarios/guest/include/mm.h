/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Address spaces, the page allocator, user copies. */
#ifndef GUEST_MM_H
#define GUEST_MM_H

#include "cpumask.h"
#include "mutex.h"

#define PAGE_SIZE 4096ul
#define PAGE_OFFSET 0xffff880000000000ul
#define KERNEL_MAP 0xffffffff80000000ul
#define TASK_SIZE 0x40000000ul
#define USER_MIN 0x10000ul
#define TLB_FLUSH_ALL (~0ul)

struct mm_struct {
	struct rw_semaphore mmap_sem;
	atomic_t mm_users;
	atomic_t mm_count;
	unsigned long mmap_base;
	unsigned long total_vm; /* pages */
	unsigned long pgd;
	struct cpumask cpu_vm_mask __cacheline_aligned;
};

extern struct mm_struct init_mm;

static inline struct cpumask *mm_cpumask(struct mm_struct *mm)
{
	return &mm->cpu_vm_mask;
}

/* Both kernel mappings are fixed, so an address tells its own place. */
static inline u64 virt_to_phys(const volatile void *p)
{
	u64 v = (u64)p;

	return v >= KERNEL_MAP ? v - KERNEL_MAP : v - PAGE_OFFSET;
}

struct task_struct;

void mm_init(unsigned int nr_mm);
struct mm_struct *mm_by_number(unsigned int nr);
void switch_mm(struct mm_struct *prev, struct mm_struct *next, struct task_struct *tsk);
void enter_lazy_tlb(struct mm_struct *mm);
void leave_mm(int cpu);

void *alloc_boot(size_t size, size_t align);
void *alloc_pages_aligned(size_t size);
void *kmalloc(size_t size);
void *kzalloc(size_t size);
void kfree(void *p);

static inline bool access_ok(u64 addr, u64 size)
{
	return addr >= USER_MIN && size <= TASK_SIZE && addr <= TASK_SIZE - size;
}

/* Bytes not copied: 0 on success, all on a bad address. */
unsigned long copy_from_user(void *to, u64 from, unsigned long n);
unsigned long copy_to_user(u64 to, const void *from, unsigned long n);

/* tlb.c */
union smp_flush_state {
	struct {
		struct mm_struct *flush_mm;
		unsigned long flush_va;
		spinlock_t tlbstate_lock;
		unsigned long flush_cpumask[BITS_TO_LONGS(NR_CPUS)];
	};
	char pad[576];
} __cacheline_aligned;

_Static_assert(sizeof(union smp_flush_state) == 576, "element size");
_Static_assert(offsetof(union smp_flush_state, tlbstate_lock) == 16, "layout");
_Static_assert(offsetof(union smp_flush_state, flush_cpumask) == 24, "layout");

void flush_tlb_mm(struct mm_struct *mm);
void flush_tlb_page(struct mm_struct *mm, unsigned long va);

#endif
