/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Message frames, the request and reply queues, the interrupt, the reset. */
#include "fs.h"
#include "init.h"
#include "irq.h"
#include "kernel.h"
#include "mm.h"
#include "mpt2sas_base.h"
#include "sched.h"

#define NO_CALLBACK 0xff
#define NO_FUNCTION 0xff
#define RESET_POLL_MS 50
#define RESET_POLLS 60

MPT2SAS_ADAPTER mpt2sas_ioc[MAX_IOCS];
unsigned int mpt2sas_nr_ioc;

static MPT_CALLBACK mpt_callbacks[MPT_MAX_CALLBACKS];

static u32 ioc_readl(MPT2SAS_ADAPTER *ioc, u32 reg)
{
	return readl(ioc->chip + reg);
}

static void ioc_writel(MPT2SAS_ADAPTER *ioc, u32 reg, u32 v)
{
	writel(v, ioc->chip + reg);
}

u8 mpt2sas_base_register_callback_handler(MPT_CALLBACK cb_func)
{
	u8 cb_idx = 1;

	while (mpt_callbacks[cb_idx])
		cb_idx++;
	mpt_callbacks[cb_idx] = cb_func;
	return cb_idx;
}

u32 mpt2sas_base_get_iocstate(MPT2SAS_ADAPTER *ioc)
{
	return ioc_readl(ioc, MPI2_DOORBELL) & MPI2_IOC_STATE_MASK;
}

void *mpt2sas_base_get_msg_frame(MPT2SAS_ADAPTER *ioc, u16 smid)
{
	return ioc->request_frames[smid];
}

void *mpt2sas_base_get_sense_buffer(MPT2SAS_ADAPTER *ioc, u16 smid)
{
	return ioc->sense_frames[smid];
}

/* NULL for no reply; the address was checked when it came in. */
MPI2DefaultReply_t *mpt2sas_base_get_reply_virt_addr(MPT2SAS_ADAPTER *ioc, u32 phys)
{
	if (!phys)
		return NULL;
	return (MPI2DefaultReply_t *)(ioc->reply_frames[0] + (phys - (u32)ioc->reply));
}

u8 mpt2sas_base_save_reply(MPT2SAS_ADAPTER *ioc, struct _internal_cmd *cmd, u32 reply)
{
	MPI2DefaultReply_t *mpi_reply = mpt2sas_base_get_reply_virt_addr(ioc, reply);
	u32 bytes;

	if (!mpi_reply)
		return NO_FUNCTION;
	bytes = mpi_reply->MsgLength * 4u;
	memcpy(cmd->reply, mpi_reply, bytes < REPLY_SZ ? bytes : REPLY_SZ);
	ACCESS_ONCE(cmd->status) |= MPT2_CMD_REPLY_VALID;
	return mpi_reply->Function;
}

void mpt2sas_base_abort_cmd(MPT2SAS_ADAPTER *ioc, struct _internal_cmd *cmd)
{
	if (!(ACCESS_ONCE(cmd->status) & MPT2_CMD_PENDING))
		return;
	ACCESS_ONCE(cmd->status) |= MPT2_CMD_RESET;
	mpt2sas_base_free_smid(ioc, cmd->smid);
	complete(&cmd->done);
}

/* ---- request numbers ---------------------------------------------------- */

static u16 get_tracker(MPT2SAS_ADAPTER *ioc, struct list_head *list, u8 cb_idx)
{
	struct request_tracker *request;
	unsigned long flags;
	u16 smid = 0;

	spin_lock_irqsave(&ioc->scsi_lookup_lock, flags);
	if (!list_empty(list)) {
		request = list_entry(list->next, struct request_tracker, tracker_list);
		request->cb_idx = cb_idx;
		smid = request->smid;
		list_del(&request->tracker_list);
	}
	spin_unlock_irqrestore(&ioc->scsi_lookup_lock, flags);
	return smid;
}

noinline u16 mpt2sas_base_get_smid(MPT2SAS_ADAPTER *ioc, u8 cb_idx)
{
	return get_tracker(ioc, &ioc->internal_free_list, cb_idx);
}

noinline u16 mpt2sas_base_get_smid_scsiio(MPT2SAS_ADAPTER *ioc, u8 cb_idx)
{
	return get_tracker(ioc, &ioc->free_list, cb_idx);
}

noinline u16 mpt2sas_base_get_smid_hpr(MPT2SAS_ADAPTER *ioc, u8 cb_idx)
{
	return get_tracker(ioc, &ioc->hpr_free_list, cb_idx);
}

static struct list_head *smid_free_list(MPT2SAS_ADAPTER *ioc, u16 smid)
{
	if (smid < HI_PRIORITY_SMID)
		return &ioc->free_list;
	return smid < INTERNAL_SMID ? &ioc->hpr_free_list : &ioc->internal_free_list;
}

/* A reset waits for requests in flight: the last one to go wakes it. */
noinline void mpt2sas_base_free_smid(MPT2SAS_ADAPTER *ioc, u16 smid)
{
	struct request_tracker *request = &ioc->lookup[smid];
	unsigned long flags;

	spin_lock_irqsave(&ioc->scsi_lookup_lock, flags);
	request->cb_idx = NO_CALLBACK;
	list_add_tail(&request->tracker_list, smid_free_list(ioc, smid));
	spin_unlock_irqrestore(&ioc->scsi_lookup_lock, flags);
	if (smid < HI_PRIORITY_SMID && ioc->shost_recovery && ioc->pending_io_count) {
		if (ioc->pending_io_count == 1)
			__wake_up(&ioc->reset_wq, TASK_NORMAL, 1, NULL);
		ioc->pending_io_count--;
	}
}

static u8 _base_get_cb_idx(MPT2SAS_ADAPTER *ioc, u16 smid)
{
	return smid <= NR_SMIDS ? ioc->lookup[smid].cb_idx : NO_CALLBACK;
}

/* ---- posting requests --------------------------------------------------- */

/* Two 32-bit writes; from the second on the answer may arrive. */
static noinline void _base_writeq(u64 b, volatile void *addr, spinlock_t *writeq_lock)
{
	unsigned long flags;

	spin_lock_irqsave(writeq_lock, flags);
	writel((u32)b, addr);
	writel((u32)(b >> 32), (volatile u8 *)addr + 4);
	spin_unlock_irqrestore(writeq_lock, flags);
}

static void post_descriptor(MPT2SAS_ADAPTER *ioc, const Mpi2RequestDescriptorUnion_t *d)
{
	_base_writeq(d->Words, ioc->chip + MPI2_REQUEST_DESCRIPTOR_POST_LOW,
		     &ioc->scsi_lookup_lock);
}

noinline void mpt2sas_base_put_smid_scsi_io(MPT2SAS_ADAPTER *ioc, u16 smid, u16 handle)
{
	Mpi2RequestDescriptorUnion_t d = { { .RequestFlags = MPI2_REQ_DESCRIPT_FLAGS_SCSI_IO,
					     .SMID = smid, .TypeDependent = handle } };

	post_descriptor(ioc, &d);
}

noinline void mpt2sas_base_put_smid_hi_priority(MPT2SAS_ADAPTER *ioc, u16 smid)
{
	Mpi2RequestDescriptorUnion_t d = {
		{ .RequestFlags = MPI2_REQ_DESCRIPT_FLAGS_HIGH_PRIORITY, .SMID = smid }
	};

	post_descriptor(ioc, &d);
}

noinline void mpt2sas_base_put_smid_default(MPT2SAS_ADAPTER *ioc, u16 smid)
{
	Mpi2RequestDescriptorUnion_t d = {
		{ .RequestFlags = MPI2_REQ_DESCRIPT_FLAGS_DEFAULT, .SMID = smid }
	};

	post_descriptor(ioc, &d);
}

/* ---- interrupt ---------------------------------------------------------- */

static bool reply_address_valid(MPT2SAS_ADAPTER *ioc, u32 reply)
{
	return reply - (u32)ioc->reply < sizeof(ioc->reply_frames);
}

/* Gives the reply frame back to the firmware. */
static void return_reply_frame(MPT2SAS_ADAPTER *ioc, u32 reply)
{
	u32 index = ioc->reply_free_host_index + 1;

	if (index == REPLY_FREE_DEPTH)
		index = 0;
	ioc->reply_free_host_index = index;
	ioc->reply_free[index] = reply;
	wmb();
	ioc_writel(ioc, MPI2_REPLY_FREE_HOST_INDEX, index);
}

static void handle_reply(MPT2SAS_ADAPTER *ioc, const Mpi2ReplyDescriptorsUnion_t *rd)
{
	u8 type = rd->ReplyFlags & MPI2_RPY_DESCRIPT_TYPE_MASK;
	u16 smid = rd->SMID;
	u32 reply = 0;
	u8 cb_idx, rc;

	if (type == MPI2_RPY_DESCRIPT_ADDRESS_REPLY && reply_address_valid(ioc, rd->ReplyFrameAddress))
		reply = rd->ReplyFrameAddress;
	if (type == MPI2_RPY_DESCRIPT_TARGETASSIST_SUCCESS ||
	    type == MPI2_RPY_DESCRIPT_TARGET_COMMAND_BUFFER)
		return;
	cb_idx = _base_get_cb_idx(ioc, smid);
	if (smid && cb_idx != NO_CALLBACK) {
		rc = mpt_callbacks[cb_idx](ioc, smid, rd->MSIxIndex, reply);
		if (rc)
			mpt2sas_base_free_smid(ioc, smid);
	}
	if (reply)
		return_reply_frame(ioc, reply);
}

/*
 * Runs with interrupts on. No lock protects the queue: the flow handler sees
 * to it that one CPU at a time is here.
 */
static noinline irqreturn_t _base_interrupt(int irq, void *bus_id)
{
	MPT2SAS_ADAPTER *ioc = bus_id;
	volatile Mpi2ReplyDescriptorsUnion_t *rpf;
	Mpi2ReplyDescriptorsUnion_t rd;
	u32 completed_cmds = 0;

	(void)irq;
	if (ioc->mask_interrupts)
		return IRQ_NONE;
	rpf = &ioc->reply_post_free[ioc->reply_post_host_index];
	if ((rpf->ReplyFlags & MPI2_RPY_DESCRIPT_TYPE_MASK) == MPI2_RPY_DESCRIPT_UNUSED)
		return IRQ_NONE;
	do {
		rd.Words = rpf->Words;
		/* Half written as yet: another interrupt will follow. */
		if (rd.low == ~0u || rd.high == ~0u)
			break;
		handle_reply(ioc, &rd);
		rpf->Words = ~0ull;
		if (++ioc->reply_post_host_index == REPLY_POST_DEPTH)
			ioc->reply_post_host_index = 0;
		completed_cmds++;
		rpf = &ioc->reply_post_free[ioc->reply_post_host_index];
	} while ((rpf->ReplyFlags & MPI2_RPY_DESCRIPT_TYPE_MASK) != MPI2_RPY_DESCRIPT_UNUSED);
	if (!completed_cmds)
		return IRQ_NONE;
	wmb();
	ioc_writel(ioc, MPI2_REPLY_POST_HOST_INDEX, ioc->reply_post_host_index);
	return IRQ_HANDLED;
}

/* ---- start and reset ---------------------------------------------------- */

static void _base_mask_interrupts(MPT2SAS_ADAPTER *ioc)
{
	ioc->mask_interrupts = 1;
	ioc_writel(ioc, MPI2_HOST_INTERRUPT_MASK, MPI2_HIM_MASK_ALL);
	ioc_readl(ioc, MPI2_HOST_INTERRUPT_MASK);
}

static void _base_unmask_interrupts(MPT2SAS_ADAPTER *ioc)
{
	ioc_writel(ioc, MPI2_HOST_INTERRUPT_MASK, 0);
	ioc->mask_interrupts = 0;
}

static void write_address(MPT2SAS_ADAPTER *ioc, u32 reg, u64 addr)
{
	ioc_writel(ioc, reg, (u32)addr);
	ioc_writel(ioc, reg + 4, (u32)(addr >> 32));
}

static void init_queues(MPT2SAS_ADAPTER *ioc)
{
	u32 i;

	for (i = 0; i < REPLY_FREE_DEPTH; i++)
		ioc->reply_free[i] = (u32)ioc->reply + i * REPLY_SZ;
	for (i = 0; i < REPLY_POST_DEPTH; i++)
		ioc->reply_post_free[i].Words = ~0ull;
	ioc->reply_free_host_index = REPLY_FREE_DEPTH - 1;
	ioc->reply_post_host_index = 0;
}

static bool wait_for_state(MPT2SAS_ADAPTER *ioc, u32 state, bool may_sleep)
{
	int i;

	for (i = 0; i < RESET_POLLS; i++) {
		if (mpt2sas_base_get_iocstate(ioc) == state)
			return true;
		if (may_sleep)
			msleep(RESET_POLL_MS);
		else
			ndelay(RESET_POLL_MS * NSEC_PER_MSEC / RESET_POLLS);
	}
	return mpt2sas_base_get_iocstate(ioc) == state;
}

static noinline int _base_make_ioc_operational(MPT2SAS_ADAPTER *ioc, bool may_sleep)
{
	init_queues(ioc);
	write_address(ioc, IOC_REG_REQUEST_BASE, ioc->request);
	ioc_writel(ioc, IOC_REG_REQUEST_SIZE, REQUEST_SZ);
	write_address(ioc, IOC_REG_REPLY_POST_BASE, ioc->reply_post_dma);
	ioc_writel(ioc, IOC_REG_REPLY_POST_DEPTH, REPLY_POST_DEPTH);
	write_address(ioc, IOC_REG_REPLY_FREE_BASE, ioc->reply_free_dma);
	ioc_writel(ioc, IOC_REG_REPLY_FREE_DEPTH, REPLY_FREE_DEPTH);
	write_address(ioc, IOC_REG_REPLY_BASE, ioc->reply);
	ioc_writel(ioc, IOC_REG_REPLY_SIZE, REPLY_SZ);
	ioc_writel(ioc, IOC_REG_MSI, ioc->vector | (ioc->msi ? IOC_MSI_ENABLE : 0));
	ioc_writel(ioc, IOC_REG_MSI_DEST, ioc->irq_cpu);
	wmb();
	ioc_writel(ioc, IOC_REG_ENABLE, 1);
	if (!wait_for_state(ioc, MPI2_IOC_STATE_OPERATIONAL, may_sleep))
		return -EIO;
	/* Every reply frame is free. */
	ioc_writel(ioc, MPI2_REPLY_FREE_HOST_INDEX, ioc->reply_free_host_index);
	_base_unmask_interrupts(ioc);
	return 0;
}

static noinline int _base_diag_reset(MPT2SAS_ADAPTER *ioc)
{
	ioc_writel(ioc, MPI2_HOST_DIAGNOSTIC, MPI2_DIAG_RESET_ADAPTER);
	return wait_for_state(ioc, MPI2_IOC_STATE_READY, true) ? 0 : -EIO;
}

/* So many requests of users are with the firmware. */
static noinline void _wait_for_commands_to_complete(MPT2SAS_ADAPTER *ioc)
{
	DEFINE_WAIT(wait, current);
	long timeout = 10 * (long)HZ;
	u16 i;

	ioc->pending_io_count = 0;
	for (i = 1; i < HI_PRIORITY_SMID; i++) {
		if (ioc->lookup[i].cb_idx != NO_CALLBACK)
			ioc->pending_io_count++;
	}
	if (!ioc->pending_io_count)
		return;
	add_wait_queue(&ioc->reset_wq, &wait);
	while (timeout) {
		set_current_state(TASK_UNINTERRUPTIBLE);
		if (!ACCESS_ONCE(ioc->pending_io_count))
			break;
		timeout = schedule_timeout(timeout);
	}
	__set_current_state(TASK_RUNNING);
	remove_wait_queue(&ioc->reset_wq, &wait);
}

static noinline void _base_reset_handler(MPT2SAS_ADAPTER *ioc, enum reset_phase phase)
{
	mpt2sas_scsih_reset_handler(ioc, phase);
	mpt2sas_ctl_reset_handler(ioc, phase);
}

/*
 * Masking sets a flag and a register; a handler that is already running is
 * not waited for.
 */
noinline int mpt2sas_base_hard_reset_handler(MPT2SAS_ADAPTER *ioc)
{
	int r;

	if (!mutex_trylock(&ioc->reset_in_progress_mutex)) {
		do
			ssleep(1);
		while (ioc->shost_recovery);
		return 0;
	}
	ioc->shost_recovery = 1;
	ioc->ioc_reset_count++;
	init_completion(&ioc->shost_recovery_done);
	_base_reset_handler(ioc, MPT2_IOC_PRE_RESET);
	_wait_for_commands_to_complete(ioc);
	_base_mask_interrupts(ioc);
	r = _base_diag_reset(ioc);
	if (!r) {
		_base_reset_handler(ioc, MPT2_IOC_AFTER_RESET);
		r = _base_make_ioc_operational(ioc, true);
	}
	if (!r)
		_base_reset_handler(ioc, MPT2_IOC_DONE_RESET);
	printk("mpt2sas%u: mpt2sas_base_hard_reset_handler: %s\n", ioc->id,
	       r ? "FAILED" : "SUCCESS");
	ioc->shost_recovery = 0;
	complete(&ioc->shost_recovery_done);
	mutex_unlock(&ioc->reset_in_progress_mutex);
	return r;
}

static void init_smids(MPT2SAS_ADAPTER *ioc)
{
	u16 smid;

	INIT_LIST_HEAD(&ioc->free_list);
	INIT_LIST_HEAD(&ioc->hpr_free_list);
	INIT_LIST_HEAD(&ioc->internal_free_list);
	for (smid = 1; smid <= NR_SMIDS; smid++) {
		struct request_tracker *request = &ioc->lookup[smid];

		request->smid = smid;
		request->cb_idx = NO_CALLBACK;
		list_add_tail(&request->tracker_list, smid_free_list(ioc, smid));
	}
}

/*
 * Only the first generation of the driver initialises the completion here.
 * The others leave it as the memory was, unless the scenario asks for a past:
 * a lock word as so many commands would have left it behind.
 */
static void init_ctl_cmds(MPT2SAS_ADAPTER *ioc, const struct boot_ioc *b)
{
	mutex_init(&ioc->ctl_cmds.mutex);
	ioc->ctl_cmds.status = MPT2_CMD_NOT_USED;
	ioc->ctl_cmds.reply = ioc->ctl_reply;
	ioc->ctl_cmds.sense = ioc->ctl_sense;
	if (boot_params.driver_variant == DRIVER_STALE_DONE || !b->first_use_uninit)
		init_completion(&ioc->ctl_cmds.done);
	if (b->initial_uses)
		ioc->ctl_cmds.done.wait.lock.slock = (b->initial_uses & 0xffff) * 0x10001u;
}

static noinline int mpt2sas_base_attach(MPT2SAS_ADAPTER *ioc, const struct boot_ioc *b, u8 id)
{
	ioc->id = id;
	ioc->name = b->name;
	ioc->chip = (volatile u8 *)b->regs_va;
	ioc->vector = b->vector;
	ioc->irq_cpu = b->irq_cpu;
	ioc->msi = b->msi != 0;
	ioc->request = virt_to_phys(ioc->request_frames);
	ioc->reply = virt_to_phys(ioc->reply_frames);
	ioc->reply_free_dma = virt_to_phys(ioc->reply_free);
	ioc->reply_post_dma = virt_to_phys(ioc->reply_post_free);
	mutex_init(&ioc->reset_in_progress_mutex);
	init_completion(&ioc->shost_recovery_done);
	__init_waitqueue_head(&ioc->reset_wq);
	init_smids(ioc);
	init_ctl_cmds(ioc, b);
	mpt2sas_scsih_attach(ioc);
	ioc->pci_irq = (u32)request_irq(b->vector, _base_interrupt, IRQF_SHARED, b->name, ioc,
					ioc->msi);
	return _base_make_ioc_operational(ioc, false);
}

/* At boot, on CPU 0, before any task exists. */
void mpt2sas_init(void)
{
	const struct boot_ioc *b = (const struct boot_ioc *)boot_params.iocs;
	u8 i;

	mpt2sas_scsih_init();
	mpt2sas_ctl_init();
	for (i = 0; i < boot_params.nr_ioc && i < MAX_IOCS; i++) {
		mpt2sas_nr_ioc = i + 1u;
		if (mpt2sas_base_attach(&mpt2sas_ioc[i], &b[i], i))
			printk("mpt2sas%u: failed to become operational\n", i);
		fd_install(FD_MPT2CTL + i, &ctl_fops);
	}
}
