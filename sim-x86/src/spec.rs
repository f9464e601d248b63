//! What a machine is made of: every size and latency, as one plain struct that can be edited.

mod sockets;
mod validate;

use crate::dev::{DeviceSpec, Trigger};
use crate::perturb::Perturbation;
use serde::{Deserialize, Serialize};
use sim_core::Hertz;
pub use validate::{SpecError, SpecErrors};

/// Distance classes between a core and whoever answers it, nearest first.
pub const DISTANCES: usize = 4;

/// Latency in core cycles by distance: same die, same package (other die), one hop, two hops.
pub type ByDistance = [u32; DISTANCES];

/// Load-to-use latency by the state in which the line is found (cycles, by distance to it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateLatency {
    /// Modified in another core's private cache.
    pub modified: ByDistance,
    /// Exclusive (clean) in another core's private cache.
    pub exclusive: ByDistance,
    /// Shared or Forward: served by an L3. For stores: the farthest copy to invalidate.
    pub shared: ByDistance,
    /// In no cache: served by memory; distance to its home node.
    pub memory: ByDistance,
}

/// Latencies and sizes of the memory hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemorySpec {
    /// L1 data cache: sets.
    pub l1d_sets: u32,
    /// L1 data cache: ways.
    pub l1d_ways: u32,
    /// L1 instruction cache: sets.
    pub l1i_sets: u32,
    /// L1 instruction cache: ways.
    pub l1i_ways: u32,
    /// Private L2: sets.
    pub l2_sets: u32,
    /// Private L2: ways.
    pub l2_ways: u32,
    /// L3 of one die: sets.
    pub l3_sets: u32,
    /// L3 of one die: ways.
    pub l3_ways: u32,
    /// L1 load-to-use, cycles.
    pub l1_hit: u32,
    /// L2 load-to-use, cycles.
    pub l2_hit: u32,
    /// Loads that leave the core.
    pub load: StateLatency,
    /// Stores and upgrades that leave the core.
    pub store: StateLatency,
    /// Cycles that a locked operation needs on top of [`MemorySpec::store`] when it leaves the core.
    pub atomic_extra: u32,
    /// Store buffer entries.
    pub store_buffer: u32,
    /// Cycles from the execution of a store to its earliest commit into an owned L1 line.
    pub store_commit: u32,
    /// Cycles for which a locked operation on an owned L1 line holds it.
    pub locked: u32,
    /// Cycles of a locked operation that crosses a line boundary.
    pub split_lock: u32,
    /// Extra cycles of a load or store that crosses a line boundary.
    pub split_access: u32,
    /// Bytes of RAM address space (sparse).
    pub ram_bytes: u64,
}

/// Cycles by instruction class; memory operands are timed by the memory system on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstructionCosts {
    /// Moves, arithmetic, logic, shifts by a register or constant, LEA, SETcc.
    pub alu: u32,
    /// CMOVcc, ADC, SBB.
    pub cmov_adc: u32,
    /// IMUL.
    pub imul: u32,
    /// MUL/IMUL giving a double-width result.
    pub mul_wide: u32,
    /// DIV/IDIV up to 32 bits.
    pub div32: u32,
    /// DIV/IDIV of 64 bits.
    pub div64: u32,
    /// BSF, BSR, POPCNT.
    pub bit_scan: u32,
    /// SHLD, SHRD, and rotates through carry.
    pub double_shift: u32,
    /// Taken branch, CALL, RET.
    pub branch_taken: u32,
    /// Branch not taken.
    pub branch_not_taken: u32,
    /// PUSHF.
    pub pushf: u32,
    /// POPF.
    pub popf: u32,
    /// CLI.
    pub cli: u32,
    /// STI.
    pub sti: u32,
    /// CLD, STD.
    pub cld: u32,
    /// PAUSE.
    pub pause: u32,
    /// MFENCE (plus the drain).
    pub mfence: u32,
    /// LFENCE.
    pub lfence: u32,
    /// SFENCE.
    pub sfence: u32,
    /// RDTSC, RDTSCP.
    pub rdtsc: u32,
    /// RDPMC.
    pub rdpmc: u32,
    /// CPUID.
    pub cpuid: u32,
    /// RDMSR.
    pub rdmsr: u32,
    /// WRMSR (serialising).
    pub wrmsr: u32,
    /// WRMSR to an x2APIC register (not serialising).
    pub wrmsr_x2apic: u32,
    /// SYSCALL.
    pub syscall: u32,
    /// SYSRET.
    pub sysret: u32,
    /// IRET to the same privilege level.
    pub iret: u32,
    /// IRET to ring 3.
    pub iret_ring: u32,
    /// SWAPGS.
    pub swapgs: u32,
    /// INVLPG.
    pub invlpg: u32,
    /// MOV CR3.
    pub mov_cr3: u32,
    /// Other MOV CRn/DRn, LGDT, LIDT, LTR, LLDT and the like.
    pub system: u32,
    /// MOV to a segment register.
    pub mov_seg: u32,
    /// IN, OUT to a chipset port.
    pub port_io: u32,
    /// CLFLUSH, WBINVD.
    pub cache_flush: u32,
    /// Start-up of a REP string instruction.
    pub rep_start: u32,
    /// One iteration of a string instruction (without its memory time).
    pub string_step: u32,
}

/// Interrupt delivery and I/O latencies, cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterruptSpec {
    /// Interrupt or exception entry without a privilege change.
    pub entry: u32,
    /// Interrupt or exception entry from ring 3.
    pub entry_ring: u32,
    /// Extra when the gate uses an IST stack.
    pub entry_ist: u32,
    /// Wake-up from HLT.
    pub hlt_wake: u32,
    /// ICR write to IRR set at the target, by distance.
    pub ipi: ByDistance,
    /// Self-IPI: ICR write to IRR set.
    pub self_ipi: u32,
    /// LAPIC timer expiry to IRR set.
    pub timer: u32,
    /// Counter overflow to NMI at the core (skid).
    pub pmi: u32,
    /// xAPIC register write (uncached; the store buffer drains first).
    pub apic_write: u32,
    /// xAPIC register read.
    pub apic_read: u32,
    /// Core cycles per LAPIC timer tick at divide-by-1.
    pub apic_timer_tick: u32,
    /// Uncached register write to a device: cycles until it retires.
    pub mmio_retire: u32,
    /// Uncached register write: cycles until it reaches the device.
    pub mmio_write: u32,
    /// Uncached register read: round trip.
    pub mmio_read: u32,
    /// Device DMA write issued to visible in memory.
    pub dma_write: u32,
    /// MSI sent to IRR set.
    pub msi: u32,
    /// INTx asserted to IRR set (through the I/O APIC).
    pub intx: u32,
}

/// Where CPUs are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// CPUs that share one L3.
    pub cores_per_die: u32,
    /// Dies in one package.
    pub dies_per_package: u32,
    /// Links between packages: `hops[a][b]` is 0 on the diagonal, else 1 or 2.
    pub hops: Vec<Vec<u8>>,
}

/// How the machine translates linear addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Translation {
    /// The fixed map of the guest kernel (see [`crate::core::translate`]).
    Kernel,
    /// Linear = physical, everything accessible: bare-metal programs.
    Identity,
}

/// A whole machine. Start from a preset, change what you like, give it to
/// [`crate::Machine::new`], which reports everything that is wrong with it at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MachineSpec {
    /// Name of the preset this came from.
    pub preset: String,
    /// Number of CPUs.
    pub cores: u32,
    /// Core clock.
    pub clock: Hertz,
    /// Where the CPUs are.
    pub topology: Topology,
    /// Memory hierarchy.
    pub memory: MemorySpec,
    /// Instruction costs.
    pub costs: InstructionCosts,
    /// Interrupts and I/O.
    pub interrupts: InterruptSpec,
    /// Address translation.
    pub translation: Translation,
    /// True if CPUs start with their LAPIC in x2APIC mode available (CPUID bit set).
    pub x2apic: bool,
    /// True if the PMU is Intel's (32-bit signed counter writes); false: AMD's 48-bit.
    pub intel_pmu: bool,
    /// Devices, in order of their ids.
    pub devices: Vec<DeviceSpec>,
    /// Instructions that set devices off when reached.
    pub triggers: Vec<Trigger>,
    /// Seed of every random stream.
    pub seed: u64,
    /// Perturbed timing; off in every preset.
    pub perturb: Perturbation,
}
