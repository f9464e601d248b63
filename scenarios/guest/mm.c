/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Address spaces, a small allocator, copies between kernel and user memory. */
#include "boot_params.h"
#include "kernel.h"
#include "mm.h"
#include "sched.h"

#define MIN_SHIFT 6 /* 64 bytes, one cache line */
#define NR_CLASSES 8
#define MMAP_BASE 0x20000000ul

struct free_object {
	struct free_object *next;
};

struct mm_struct init_mm;

static struct mm_struct *mm_table;
static unsigned int nr_mms;
static u64 heap_next;
static spinlock_t slab_lock;
static struct free_object *slab_free[NR_CLASSES];

/* From the heap and for ever; before the other CPUs run, or under slab_lock. */
void *alloc_boot(size_t size, size_t align)
{
	u64 addr;

	if (!heap_next)
		heap_next = boot_params.heap_start;
	addr = (heap_next + align - 1) & ~(u64)(align - 1);
	if (addr + size > boot_params.heap_end) {
		panic("Out of memory: %lu bytes", size);
		return NULL;
	}
	heap_next = addr + size;
	return (void *)addr;
}

/* Memory that is aligned to its size, a power of two; never given back. */
void *alloc_pages_aligned(size_t size)
{
	unsigned long flags;
	void *p;

	spin_lock_irqsave(&slab_lock, flags);
	p = alloc_boot(size, size);
	spin_unlock_irqrestore(&slab_lock, flags);
	return p;
}

void mm_init(unsigned int nr)
{
	unsigned int i;

	init_mm.pgd = read_cr3();
	mm_table = alloc_boot(nr * sizeof(struct mm_struct), SMP_CACHE_BYTES);
	nr_mms = nr;
	for (i = 0; i < nr; i++) {
		struct mm_struct *mm = &mm_table[i];

		init_rwsem(&mm->mmap_sem);
		mm->mmap_base = MMAP_BASE;
		mm->pgd = (i + 1) * PAGE_SIZE;
	}
}

struct mm_struct *mm_by_number(unsigned int nr)
{
	return nr < nr_mms ? &mm_table[nr] : NULL;
}

static unsigned int size_class(size_t size)
{
	unsigned int c = 0;

	while ((1ul << (MIN_SHIFT + c)) < size)
		c++;
	return c;
}

/* The word before an object tells its class. */
void *kmalloc(size_t size)
{
	unsigned int c = size_class(size + SMP_CACHE_BYTES);
	struct free_object *obj;
	unsigned long flags;

	BUG_ON(c >= NR_CLASSES);
	spin_lock_irqsave(&slab_lock, flags);
	obj = slab_free[c];
	if (obj)
		slab_free[c] = obj->next;
	else
		obj = alloc_boot(1ul << (MIN_SHIFT + c), SMP_CACHE_BYTES);
	spin_unlock_irqrestore(&slab_lock, flags);
	*(unsigned long *)obj = c;
	return (char *)obj + SMP_CACHE_BYTES;
}

void *kzalloc(size_t size)
{
	return memset(kmalloc(size), 0, size);
}

void kfree(void *p)
{
	struct free_object *obj;
	unsigned long c, flags;

	if (!p)
		return;
	obj = (struct free_object *)((char *)p - SMP_CACHE_BYTES);
	c = *(unsigned long *)obj;
	spin_lock_irqsave(&slab_lock, flags);
	obj->next = slab_free[c];
	slab_free[c] = obj;
	spin_unlock_irqrestore(&slab_lock, flags);
}

noinline unsigned long copy_from_user(void *to, u64 from, unsigned long n)
{
	might_sleep();
	if (!access_ok(from, n))
		return n;
	memcpy(to, (const void *)from, n);
	return 0;
}

noinline unsigned long copy_to_user(u64 to, const void *from, unsigned long n)
{
	might_sleep();
	if (!access_ok(to, n))
		return n;
	memcpy((void *)to, from, n);
	return 0;
}
