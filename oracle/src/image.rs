//! Small ring-0 programs that write what they saw into memory: the same bytes run under KVM and on
//! latchup.
//!
//! Memory is identity-mapped. Every vector has a stub that leads to one handler (`handler.rs`): it
//! logs the frame and does what the image's table of actions says. Images add code, actions and
//! expectations through a `Kit` (`kit.rs`); `delivery.rs`, `apic.rs`, `rings.rs` and so on hold
//! the images.

mod apic;
mod delivery;
mod handler;
mod kit;
mod nmi;
mod rings;
mod smp;
mod timer;

pub use kit::{Expected, Image};

/// Where things lie, in both worlds.
pub mod at {
    /// Page tables, made by the KVM runner only.
    pub const PAGE_TABLES: u64 = 0x1000;
    /// Descriptor table.
    pub const GDT: u64 = 0x1_0000;
    /// Interrupt descriptor table, 256 gates.
    pub const IDT: u64 = 0x1_1000;
    /// Task-state segments, 256 bytes each, one per CPU.
    pub const TSS: u64 = 0x1_2000;
    /// Descriptor-table registers as LGDT and LIDT read them, 16 bytes each.
    pub const TABLE_REGISTERS: u64 = 0x1_2800;
    /// What the handler does, 16 bytes per vector.
    pub const ACTIONS: u64 = 0x1_3000;
    /// Per CPU: where the handler resumes.
    pub const RESUME: u64 = 0x1_4000;
    /// Per CPU: stack pointer with which the handler goes back to ring 0.
    pub const KERNEL_RSP: u64 = 0x1_4010;
    /// Stubs, 16 bytes per vector.
    pub const STUBS: u64 = 0x1_5000;
    /// The handler.
    pub const HANDLER: u64 = 0x1_6000;
    /// The image's code: both CPUs start here, with their number in RDI.
    pub const CODE: u64 = 0x1_8000;
    /// Words that an image may use.
    pub const SCRATCH: u64 = 0x1_f000;
    /// Per CPU, 64 KiB: number of log entries, then from +64 on entries of 64 bytes.
    pub const LOG: u64 = 0x20_0000;
    /// Results, a word each.
    pub const RESULTS: u64 = 0x22_0000;
    /// End of what is compared.
    pub const END: u64 = 0x22_1000;
    /// Stack tops, by CPU, 64 KiB apart: ring 0, RSP0 of the TSS, IST1, ring 3.
    pub const STACKS: [u64; 4] = [0x30_0000, 0x32_0000, 0x34_0000, 0x36_0000];
    /// Bytes of memory.
    pub const MEMORY: u64 = 0x40_0000;
    /// Registers of the local APIC.
    pub const APIC: u64 = 0xfee0_0000;
    /// An address that is not mapped.
    pub const UNMAPPED: u64 = 0x1_0000_0000;
}

/// Selectors of the images' GDT.
pub mod selector {
    /// 64-bit code, ring 0.
    pub const KERNEL_CODE: u16 = 0x10;
    /// Data, ring 0.
    pub const KERNEL_DATA: u16 = 0x18;
    /// Where SYSRET counts from.
    pub const USER_BASE: u16 = 0x20;
    /// Data, ring 3.
    pub const USER_DATA: u16 = 0x28 | 3;
    /// 64-bit code, ring 3.
    pub const USER_CODE: u16 = 0x30 | 3;
    /// TSS of CPU 0; that of CPU 1 follows, 16 bytes on.
    pub const TSS: u16 = 0x40;
    /// Data that is not present.
    pub const ABSENT: u16 = 0x60;
    /// Data with a base and a limit of its own, for FS and GS.
    pub const BASED: u16 = 0x68;
    /// Read-only data.
    pub const READ_ONLY: u16 = 0x70;
    /// Code that may not be read.
    pub const EXECUTE_ONLY: u16 = 0x78;
    /// First selector beyond the table.
    pub const BEYOND: u16 = 0x80;
}

/// All images.
///
/// # Panics
/// An image does not assemble.
#[must_use]
pub fn all() -> Vec<Image> {
    let lists = [
        delivery::images(),
        rings::images(),
        nmi::images(),
        apic::images(),
        timer::images(),
        smp::images(),
    ];
    lists.into_iter().flatten().collect()
}
