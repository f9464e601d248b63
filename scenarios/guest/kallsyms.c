/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Names of addresses, from the table that the loader leaves in memory. */
#include "boot_params.h"
#include "kernel.h"

#define MODULES_START 0xffffffffa0000000ul
#define OBJECTS_START 0xffffffffa1000000ul
#define SCRIPTS_START 0xffffffffa8000000ul

static const char *module_name(unsigned long addr)
{
	if (addr < MODULES_START)
		return NULL;
	if (addr < OBJECTS_START)
		return "mpt2sas";
	return addr < SCRIPTS_START ? "object" : "script";
}

bool kallsyms_lookup(unsigned long addr, const char **name, unsigned long *off,
		     unsigned long *size, const char **module)
{
	const struct kallsym *tab = (const struct kallsym *)boot_params.kallsyms;
	u64 low = 0, high = boot_params.nr_kallsyms;

	/* The last symbol that begins at or before the address. */
	while (low < high) {
		u64 mid = low + (high - low) / 2;

		if (tab[mid].addr <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return false;
	tab += low - 1;
	if (addr - tab->addr > tab->size)
		return false;
	*name = (const char *)boot_params.kallsyms_names + tab->name_off;
	*off = addr - tab->addr;
	*size = tab->size;
	*module = module_name(addr);
	return true;
}

/* "@prefix[<address>] symbol+0x12/0x34 [module]" */
void print_symbol_line(const char *prefix, unsigned long addr)
{
	const char *name, *module;
	unsigned long off, size;

	if (!kallsyms_lookup(addr, &name, &off, &size, &module))
		printk("%s[<%016lx>] 0x%lx\n", prefix, addr, addr);
	else if (module)
		printk("%s[<%016lx>] %s+0x%lx/0x%lx [%s]\n", prefix, addr, name, off, size,
		       module);
	else
		printk("%s[<%016lx>] %s+0x%lx/0x%lx\n", prefix, addr, name, off, size);
}
