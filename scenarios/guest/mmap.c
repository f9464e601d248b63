/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * mmap, munmap and mprotect. The translation is fixed, so there are no page
 * tables to change: what remains is the semaphore and the TLB flush.
 */
#include "fs.h"
#include "kernel.h"
#include "mm.h"
#include "sched.h"

#define MMAP_END 0x3f000000ul

static unsigned long page_align(unsigned long len)
{
	return (len + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

static noinline long do_mmap_pgoff(struct mm_struct *mm, unsigned long len)
{
	unsigned long addr = mm->mmap_base;

	len = page_align(len);
	if (!len || len > MMAP_END - addr)
		return -ENOMEM;
	mm->mmap_base = addr + len;
	mm->total_vm += len / PAGE_SIZE;
	return (long)addr;
}

long sys_mmap(u64 addr, u64 len);
noinline long sys_mmap(u64 addr, u64 len)
{
	struct mm_struct *mm = current->mm;
	long ret;

	(void)addr;
	down_write(&mm->mmap_sem);
	ret = do_mmap_pgoff(mm, len);
	up_write(&mm->mmap_sem);
	return ret;
}

static noinline void unmap_region(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	unsigned long pages = (end - start) / PAGE_SIZE;

	mm->total_vm -= pages < mm->total_vm ? pages : mm->total_vm;
	flush_tlb_mm(mm);
}

static noinline int do_munmap(struct mm_struct *mm, unsigned long start, unsigned long len)
{
	if ((start & (PAGE_SIZE - 1)) || start > TASK_SIZE || len > TASK_SIZE - start)
		return -EINVAL;
	len = page_align(len);
	if (!len)
		return -EINVAL;
	unmap_region(mm, start, start + len);
	return 0;
}

long sys_munmap(u64 addr, u64 len);
noinline long sys_munmap(u64 addr, u64 len)
{
	struct mm_struct *mm = current->mm;
	int ret;

	down_write(&mm->mmap_sem);
	ret = do_munmap(mm, addr, len);
	up_write(&mm->mmap_sem);
	return ret;
}

static noinline int mprotect_fixup(struct mm_struct *mm, unsigned long start, unsigned long end,
				   unsigned long prot)
{
	(void)start;
	(void)end;
	(void)prot;
	flush_tlb_mm(mm);
	return 0;
}

long sys_mprotect(u64 start, u64 len, u64 prot);
noinline long sys_mprotect(u64 start, u64 len, u64 prot)
{
	struct mm_struct *mm = current->mm;
	int error;

	if ((start & (PAGE_SIZE - 1)) || start > TASK_SIZE || len > TASK_SIZE - start)
		return -EINVAL;
	len = page_align(len);
	if (!len)
		return 0;
	down_write(&mm->mmap_sem);
	error = mprotect_fixup(mm, start, start + len, prot);
	up_write(&mm->mmap_sem);
	return error;
}
