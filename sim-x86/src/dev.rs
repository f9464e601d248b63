//! Devices: chips that know registers and time, wired to the machine by effects.

use crate::ids::{CoreId, DeviceId, PhysAddr};
use crate::trace::{Delivery, Trace};
use serde::{Deserialize, Serialize};
use sim_core::Cycle;

/// How long a firmware, a gap between interrupts or a handler takes, in core cycles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Latency {
    /// Always the same.
    Constant(u64),
    /// Uniform over `lo..=hi`.
    Uniform {
        /// Least.
        lo: u64,
        /// Greatest.
        hi: u64,
    },
    /// Normal, cut off below 0.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        sd: f64,
    },
    /// Log-normal: `exp(N(ln median, sigma))`.
    LogNormal {
        /// Median in cycles.
        median: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
    /// One value per request in order; the last one repeats.
    Listed(Vec<u64>),
}

/// An HBA of the LSI SAS2008 kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HbaSpec {
    /// Name in scenarios and its random stream, e.g. `ioc0`.
    pub name: String,
    /// Physical address of its registers.
    pub regs: PhysAddr,
    /// From the arrival of a request's second doorbell write to the start of its reply's DMA.
    pub firmware_latency: Latency,
    /// Message-signalled interrupt if true, else INTx.
    pub msi: bool,
    /// Overrides the preset's MSI (or INTx) latency.
    pub interrupt_latency: Option<u64>,
    /// Interrupt coalescing: replies to collect (1 = off).
    pub coalescing_depth: u32,
    /// Interrupt coalescing: longest wait in cycles.
    pub coalescing_timeout: u64,
    /// Cycles from a diagnostic reset to READY.
    pub reset_time: u64,
}

/// When an interrupt source fires, in cycles after it was armed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Arrivals {
    /// At these times.
    Listed(Vec<u64>),
    /// `first`, then every `period`.
    Periodic {
        /// First arrival.
        first: u64,
        /// Distance between arrivals.
        period: u64,
    },
    /// A Poisson process with this mean distance, from `first` on.
    Poisson {
        /// Earliest arrival.
        first: u64,
        /// Mean distance between arrivals.
        mean: f64,
    },
    /// `delay` cycles after a CPU reaches an instruction, each time its trigger fires.
    Reach {
        /// Cycles from reaching it to the arrival, at least 1.
        delay: Latency,
    },
}

/// A NIC-like source of interrupts whose handler is guest code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IrqSourceSpec {
    /// Name in scenarios and its random stream, e.g. `eth0`.
    pub name: String,
    /// When it fires.
    pub arrivals: Arrivals,
    /// Which CPU it interrupts.
    pub to: CoreId,
    /// With which message.
    pub delivery: Delivery,
    /// Most arrivals before it falls silent.
    pub limit: Option<u64>,
}

/// An SMI-like stall: CPUs stop, whatever they do, and nothing can interrupt them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StallSpec {
    /// Name in scenarios and its random stream.
    pub name: String,
    /// When it strikes.
    pub arrivals: Arrivals,
    /// How long it lasts.
    pub duration: Latency,
    /// Which CPU it stops; all of them if `None`.
    pub core: Option<CoreId>,
    /// Most strikes before it falls silent.
    pub limit: Option<u64>,
}

/// A device to build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum DeviceSpec {
    /// Host bus adapter.
    Hba(HbaSpec),
    /// Interrupt source.
    IrqSource(IrqSourceSpec),
    /// SMI-like stall.
    Stall(StallSpec),
}

/// What a device does to the machine. The machine carries it out after the device's function
/// returns, so that a device never holds a bus, a queue or a line.
#[derive(Clone, Debug, PartialEq)]
pub enum DevEffect {
    /// Call the device's `on_event` with `token` at `at`.
    Event {
        /// When.
        at: Cycle,
        /// What the device chose to be told.
        token: u32,
    },
    /// Write `bytes` (within one cache line) coherently: every cached copy is invalidated. The
    /// device's `on_dma_done` is called with `token` when the bytes are visible.
    DmaWrite {
        /// Where.
        addr: PhysAddr,
        /// What: at most 64 bytes, not crossing a line.
        bytes: Vec<u8>,
        /// What the device chose to be told.
        token: u32,
    },
    /// Deliver an interrupt message at `at`.
    Interrupt {
        /// When it reaches the LAPIC.
        at: Cycle,
        /// Which CPU.
        to: CoreId,
        /// What.
        delivery: Delivery,
    },
    /// Stop CPUs until `until`.
    Stall {
        /// Which; all of them if `None`.
        core: Option<CoreId>,
        /// First cycle at which they run again.
        until: Cycle,
    },
    /// Tell observers.
    Trace(Trace),
}

/// Index helper kept with the device types.
impl DeviceSpec {
    /// The device's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            DeviceSpec::Hba(spec) => &spec.name,
            DeviceSpec::IrqSource(spec) => &spec.name,
            DeviceSpec::Stall(spec) => &spec.name,
        }
    }
}

/// A trigger: when a CPU is about to execute the instruction at `rip`, tell a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// Which CPU; any if `None`.
    pub core: Option<CoreId>,
    /// Linear address of the instruction.
    pub rip: u64,
    /// Which occurrence first fires it (1 = the first).
    pub nth: u64,
    /// Which device is told.
    pub device: DeviceId,
}
