/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The mpt2sas driver: adapter, registers and message formats, as far as the
 * ctl (ioctl) path, the interrupt path and the reset need them.
 */
#ifndef GUEST_MPT2SAS_BASE_H
#define GUEST_MPT2SAS_BASE_H

#include "boot_params.h"
#include "mutex.h"
#include "wait.h"

#define MPT_MAX_CALLBACKS 4
#define MAX_IOCS 4

/* Registers (reference section 7.1). */
#define MPI2_DOORBELL 0x00
#define MPI2_HOST_DIAGNOSTIC 0x08
#define MPI2_HOST_INTERRUPT_STATUS 0x30
#define MPI2_HOST_INTERRUPT_MASK 0x34
#define MPI2_REPLY_FREE_HOST_INDEX 0x48
#define MPI2_REPLY_POST_HOST_INDEX 0x6c
#define MPI2_REQUEST_DESCRIPTOR_POST_LOW 0xc0
#define MPI2_REQUEST_DESCRIPTOR_POST_HIGH 0xc4
#define MPI2_DIAG_RESET_ADAPTER 0x4
#define MPI2_HIM_MASK_ALL ((1u << 30) | (1u << 3) | 1)

/* Where queues lie is told by plain registers here, not by an IOC_INIT message. */
#define IOC_REG_REQUEST_BASE 0x100
#define IOC_REG_REQUEST_SIZE 0x108
#define IOC_REG_REPLY_POST_BASE 0x110
#define IOC_REG_REPLY_POST_DEPTH 0x118
#define IOC_REG_REPLY_FREE_BASE 0x120
#define IOC_REG_REPLY_FREE_DEPTH 0x128
#define IOC_REG_REPLY_BASE 0x130
#define IOC_REG_REPLY_SIZE 0x138
#define IOC_REG_MSI 0x140
#define IOC_MSI_ENABLE (1u << 31)
#define IOC_REG_MSI_DEST 0x144
#define IOC_REG_ENABLE 0x148

#define MPI2_IOC_STATE_MASK 0xf0000000u
#define MPI2_IOC_STATE_READY 0x10000000u
#define MPI2_IOC_STATE_OPERATIONAL 0x20000000u

/* Functions of requests. */
#define MPI2_FUNCTION_SCSI_IO_REQUEST 0x00
#define MPI2_FUNCTION_SCSI_TASK_MGMT 0x01
#define MPI2_FUNCTION_RAID_SCSI_IO_PASSTHROUGH 0x16

/* Flags of request and types of reply descriptors. */
#define MPI2_REQ_DESCRIPT_FLAGS_SCSI_IO 0x00
#define MPI2_REQ_DESCRIPT_FLAGS_HIGH_PRIORITY 0x06
#define MPI2_REQ_DESCRIPT_FLAGS_DEFAULT 0x08
#define MPI2_RPY_DESCRIPT_TYPE_MASK 0x0f
#define MPI2_RPY_DESCRIPT_ADDRESS_REPLY 0x01
#define MPI2_RPY_DESCRIPT_TARGETASSIST_SUCCESS 0x02
#define MPI2_RPY_DESCRIPT_TARGET_COMMAND_BUFFER 0x03
#define MPI2_RPY_DESCRIPT_UNUSED 0x0f

/* struct _internal_cmd.status */
#define MPT2_CMD_COMPLETE 0x0001
#define MPT2_CMD_PENDING 0x0002
#define MPT2_CMD_REPLY_VALID 0x0004
#define MPT2_CMD_RESET 0x0008
#define MPT2_CMD_NOT_USED 0x8000

#define MPI2_SCSITASKMGMT_TASKTYPE_TARGET_RESET 0x03

#define MPT2_IOCTL_DEFAULT_TIMEOUT 10 /* seconds */

#define REQUEST_SZ 128
#define REPLY_SZ 128
#define SENSE_SZ 64
#define SCSIIO_DEPTH 48
#define HI_PRIORITY_DEPTH 4
#define INTERNAL_DEPTH 4
#define NR_SMIDS (SCSIIO_DEPTH + HI_PRIORITY_DEPTH + INTERNAL_DEPTH)
#define HI_PRIORITY_SMID (1 + SCSIIO_DEPTH)
#define INTERNAL_SMID (HI_PRIORITY_SMID + HI_PRIORITY_DEPTH)
#define REPLY_POST_DEPTH 64
#define REPLY_FREE_DEPTH 32

typedef struct {
	u16 FunctionDependent1; /* DevHandle of SCSI IO */
	u8 ChainOffset;
	u8 Function;
	u16 FunctionDependent2;
	u8 FunctionDependent3;
	u8 MsgFlags;
	u8 VP_ID, VF_ID;
	u16 Reserved1;
} MPI2RequestHeader_t;

typedef struct {
	u16 FunctionDependent1;
	u8 MsgLength; /* in 32-bit words */
	u8 Function;
	u16 FunctionDependent2;
	u8 FunctionDependent3;
	u8 MsgFlags;
	u8 VP_ID, VF_ID;
	u16 Reserved1;
	u16 FunctionDependent5;
	u16 IOCStatus;
	u32 IOCLogInfo;
} MPI2DefaultReply_t;

typedef union {
	struct {
		u8 RequestFlags, MSIxIndex;
		u16 SMID, LMID, TypeDependent;
	};
	struct {
		u32 Low, High;
	};
	u64 Words;
} Mpi2RequestDescriptorUnion_t;

typedef union {
	struct {
		u8 ReplyFlags, MSIxIndex;
		u16 SMID;
		u32 ReplyFrameAddress;
	};
	struct {
		u32 low, high;
	};
	u64 Words;
} Mpi2ReplyDescriptorsUnion_t;

/* A command of the driver's own, one at a time for each purpose. */
struct _internal_cmd {
	struct mutex mutex;
	struct completion done;
	void *reply;
	void *sense;
	u16 status;
	u16 smid;
};

_Static_assert(sizeof(struct _internal_cmd) == 88, "layout");
_Static_assert(offsetof(struct _internal_cmd, done) == 0x20, "layout");
_Static_assert(offsetof(struct _internal_cmd, reply) == 0x40, "layout");
_Static_assert(offsetof(struct _internal_cmd, status) == 0x50, "layout");
_Static_assert(offsetof(struct _internal_cmd, smid) == 0x52, "layout");

struct request_tracker {
	u16 smid;
	u8 cb_idx;
	struct list_head tracker_list;
};

/*
 * ctl_cmds begins 0x38 into a cache line: the completion then lies in one
 * line, status and smid in the next, as on the machine of the post-mortem.
 */
typedef struct MPT2SAS_ADAPTER {
	u8 id;
	u8 mask_interrupts;
	u8 shost_recovery;
	u8 msi;
	u32 pci_irq;
	volatile u8 *chip;
	const char *name;
	u32 vector;
	u32 irq_cpu;
	u32 reply_post_host_index;
	u32 reply_free_host_index;
	u64 pad_to_line;
	char align_ctl_cmds[8];
	struct _internal_cmd ctl_cmds;
	u64 request, reply, reply_free_dma, reply_post_dma; /* physical */
	struct mutex reset_in_progress_mutex;
	struct completion shost_recovery_done;
	spinlock_t scsi_lookup_lock __cacheline_aligned;
	u32 pending_io_count;
	wait_queue_head_t reset_wq;
	struct list_head free_list;
	struct list_head hpr_free_list;
	struct list_head internal_free_list;
	u64 ioc_reset_count;
	struct _internal_cmd tm_cmds;
	struct request_tracker lookup[NR_SMIDS + 1];
	u8 request_frames[NR_SMIDS + 1][REQUEST_SZ] __cacheline_aligned;
	u8 reply_frames[REPLY_FREE_DEPTH][REPLY_SZ] __cacheline_aligned;
	u8 sense_frames[NR_SMIDS + 1][SENSE_SZ] __cacheline_aligned;
	u32 reply_free[REPLY_FREE_DEPTH] __cacheline_aligned;
	Mpi2ReplyDescriptorsUnion_t reply_post_free[REPLY_POST_DEPTH] __cacheline_aligned;
	u8 ctl_reply[REPLY_SZ] __cacheline_aligned;
	u8 ctl_sense[SENSE_SZ] __cacheline_aligned;
	u8 tm_reply[REPLY_SZ] __cacheline_aligned;
} __aligned(64) MPT2SAS_ADAPTER;

_Static_assert(offsetof(MPT2SAS_ADAPTER, ctl_cmds) % 64 == 0x38, "place in its cache line");

typedef u8 (*MPT_CALLBACK)(MPT2SAS_ADAPTER *ioc, u16 smid, u8 msix_index, u32 reply);

enum reset_phase { MPT2_IOC_PRE_RESET, MPT2_IOC_AFTER_RESET, MPT2_IOC_DONE_RESET };

extern MPT2SAS_ADAPTER mpt2sas_ioc[MAX_IOCS];
extern unsigned int mpt2sas_nr_ioc;

u8 mpt2sas_base_register_callback_handler(MPT_CALLBACK cb_func);
void *mpt2sas_base_get_msg_frame(MPT2SAS_ADAPTER *ioc, u16 smid);
void *mpt2sas_base_get_sense_buffer(MPT2SAS_ADAPTER *ioc, u16 smid);
MPI2DefaultReply_t *mpt2sas_base_get_reply_virt_addr(MPT2SAS_ADAPTER *ioc, u32 phys);
u16 mpt2sas_base_get_smid(MPT2SAS_ADAPTER *ioc, u8 cb_idx);
u16 mpt2sas_base_get_smid_scsiio(MPT2SAS_ADAPTER *ioc, u8 cb_idx);
u16 mpt2sas_base_get_smid_hpr(MPT2SAS_ADAPTER *ioc, u8 cb_idx);
void mpt2sas_base_free_smid(MPT2SAS_ADAPTER *ioc, u16 smid);

/* Copies the firmware's answer, if there is one, to @cmd; its Function, else 0xff. */
u8 mpt2sas_base_save_reply(MPT2SAS_ADAPTER *ioc, struct _internal_cmd *cmd, u32 reply);
/* After a reset no answer will come any more to a command that waits for one. */
void mpt2sas_base_abort_cmd(MPT2SAS_ADAPTER *ioc, struct _internal_cmd *cmd);
void mpt2sas_base_put_smid_scsi_io(MPT2SAS_ADAPTER *ioc, u16 smid, u16 handle);
void mpt2sas_base_put_smid_hi_priority(MPT2SAS_ADAPTER *ioc, u16 smid);
void mpt2sas_base_put_smid_default(MPT2SAS_ADAPTER *ioc, u16 smid);
u32 mpt2sas_base_get_iocstate(MPT2SAS_ADAPTER *ioc);
int mpt2sas_base_hard_reset_handler(MPT2SAS_ADAPTER *ioc);

void mpt2sas_scsih_init(void);
void mpt2sas_scsih_attach(MPT2SAS_ADAPTER *ioc);
u8 mpt2sas_scsih_tm_done(MPT2SAS_ADAPTER *ioc, u16 smid, u8 msix_index, u32 reply);
void mpt2sas_scsih_issue_tm(MPT2SAS_ADAPTER *ioc, u16 handle, u8 type, unsigned long timeout);
void mpt2sas_scsih_reset_handler(MPT2SAS_ADAPTER *ioc, enum reset_phase phase);

void mpt2sas_ctl_init(void);
u8 mpt2sas_ctl_done(MPT2SAS_ADAPTER *ioc, u16 smid, u8 msix_index, u32 reply);
void mpt2sas_ctl_reset_handler(MPT2SAS_ADAPTER *ioc, enum reset_phase phase);

#endif
