/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Basic types and compiler helpers. Everything else includes this. */
#ifndef GUEST_TYPES_H
#define GUEST_TYPES_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed int s32;
typedef signed long long s64;
typedef unsigned long size_t;
typedef long ssize_t;
typedef long loff_t;
typedef int pid_t;
typedef _Bool bool;

#define true 1
#define false 0
#define NULL ((void *)0)

#define offsetof(type, member) __builtin_offsetof(type, member)
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define __always_inline inline __attribute__((always_inline))
#define __aligned(n) __attribute__((aligned(n)))
#define __section(s) __attribute__((section(s)))
#define __used __attribute__((used))
#define __printf(f, a) __attribute__((format(printf, f, a)))
#define __user

/*
 * A function whose frame must be seen in backtraces. gcc also clones and
 * analyses across calls; clang has no such attributes.
 */
#ifdef __clang__
#define noinline __attribute__((noinline))
#else
#define noinline __attribute__((noinline, noclone, noipa))
#endif

#define barrier() __asm__ volatile("" ::: "memory")
#define ACCESS_ONCE(x) (*(volatile __typeof__(x) *)&(x))

#define SMP_CACHE_BYTES 64
#define __cacheline_aligned __aligned(SMP_CACHE_BYTES)
/* Away from the lines that are written all the time. */
#define __read_mostly __attribute__((section(".data.read_mostly")))

/* Size of the per-CPU tables. Masks keep the 4,096 bits of the original. */
#define MAX_CPUS 256
#define NR_CPUS 4096
#define BITS_PER_LONG 64

#define EPERM 1
#define ENOENT 2
#define ESRCH 3
#define EINTR 4
#define EIO 5
#define EBADF 9
#define EAGAIN 11
#define ENOMEM 12
#define EFAULT 14
#define EBUSY 16
#define ENODEV 19
#define EINVAL 22
#define ENOTTY 25
#define ENOSYS 38
#define ERESTARTSYS 512
#define ENOIOCTLCMD 515

#endif
