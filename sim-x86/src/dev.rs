//! Devices: chips that know registers and time, wired to the machine by effects.

mod arrivals;
pub mod hba;
pub mod irq_source;
mod latency;
#[cfg(test)]
mod rig;
pub mod stall;
#[cfg(test)]
mod tests;

use crate::ids::{CoreId, DeviceId, PhysAddr};
use crate::spec::InterruptSpec;
use crate::trace::{Delivery, Trace};
use hba::Hba;
use irq_source::IrqSource;
use serde::{Deserialize, Serialize};
use sim_core::Cycle;
use stall::Stall;
use std::fmt;

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
    /// Latencies of the first requests, in cycles; the others draw from `firmware_latency`.
    pub first_latencies: Vec<u64>,
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
    /// device's `on_dma_done` is called with `token` when the bytes are visible. Writes of one
    /// device become visible in the order in which it issued them, as PCIe keeps posted writes.
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

/// Reads memory as it is at this cycle, coherently and without taking time: what a device sees
/// that has fetched the bytes by DMA.
pub trait DmaRead {
    /// Fills `bytes` from `addr` on.
    fn read(&self, addr: PhysAddr, bytes: &mut [u8]);
}

/// What a device may look at, and where it puts its effects.
pub struct DevCtx<'a> {
    /// The cycle of this call.
    pub now: Cycle,
    /// Latencies of the machine.
    pub interrupts: &'a InterruptSpec,
    /// Memory.
    pub memory: &'a dyn DmaRead,
    /// Carried out by the machine, in order, after the call.
    pub effects: &'a mut Vec<DevEffect>,
}

impl fmt::Debug for DevCtx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevCtx").field("now", &self.now).finish_non_exhaustive()
    }
}

/// First register of interrupt source 0; each device id has a page from there.
const IRQ_SOURCE_REGISTERS: u64 = 0xe080_0000;
/// Bytes of an interrupt source's registers.
const IRQ_SOURCE_PAGE: u64 = 0x1000;

/// A device in a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Device {
    /// Host bus adapter.
    Hba(Hba),
    /// Interrupt source.
    IrqSource(IrqSource),
    /// SMI-like stall.
    Stall(Stall),
}

impl Device {
    /// Builds the device; its random streams come from `seed` and its name.
    #[must_use]
    pub fn new(spec: &DeviceSpec, id: DeviceId, seed: u64) -> Self {
        match spec {
            DeviceSpec::Hba(spec) => Device::Hba(Hba::new(spec, id, seed)),
            DeviceSpec::IrqSource(spec) => Device::IrqSource(IrqSource::new(spec, id, seed)),
            DeviceSpec::Stall(spec) => Device::Stall(Stall::new(spec, seed)),
        }
    }

    /// Where its registers are and how many bytes they take; `None` if it has none.
    #[must_use]
    pub fn registers(&self) -> Option<(PhysAddr, u64)> {
        match self {
            Device::Hba(hba) => Some(hba.registers()),
            Device::IrqSource(source) => {
                let page = u64::from(source.id().0) * IRQ_SOURCE_PAGE;
                Some((PhysAddr(IRQ_SOURCE_REGISTERS + page), IRQ_SOURCE_PAGE))
            }
            Device::Stall(_) => None,
        }
    }

    /// The machine has reached its epoch: arrivals count from now.
    pub fn arm(&mut self, ctx: &mut DevCtx) {
        match self {
            Device::Hba(_) => {}
            Device::IrqSource(source) => source.arm(ctx),
            Device::Stall(stall) => stall.arm(ctx),
        }
    }

    /// A 32-bit register is read. Reading changes nothing.
    #[must_use]
    pub fn read(&self, offset: u32) -> u32 {
        match self {
            Device::Hba(hba) => hba.read(offset),
            Device::IrqSource(source) => source.read(offset),
            Device::Stall(_) => 0,
        }
    }

    /// A 32-bit register write arrives.
    pub fn write(&mut self, offset: u32, value: u32, ctx: &mut DevCtx) {
        match self {
            Device::Hba(hba) => hba.write(offset, value, ctx),
            Device::IrqSource(source) => source.write(offset),
            Device::Stall(_) => {}
        }
    }

    /// An event that the device asked for ([`DevEffect::Event`]) is due.
    pub fn on_event(&mut self, token: u32, ctx: &mut DevCtx) {
        match self {
            Device::Hba(hba) => hba.on_event(token, ctx),
            Device::IrqSource(source) => source.on_event(ctx),
            Device::Stall(stall) => stall.on_event(ctx),
        }
    }

    /// The bytes of a [`DevEffect::DmaWrite`] are visible.
    pub fn on_dma_done(&mut self, token: u32, ctx: &mut DevCtx) {
        match self {
            Device::Hba(hba) => hba.on_dma_done(token, ctx),
            Device::IrqSource(_) | Device::Stall(_) => {}
        }
    }

    /// A CPU reached the instruction of a [`Trigger`] that names this device.
    pub fn on_trigger(&mut self, ctx: &mut DevCtx) {
        match self {
            Device::Hba(_) => {}
            Device::IrqSource(source) => source.on_trigger(ctx),
            Device::Stall(stall) => stall.on_trigger(ctx),
        }
    }

    /// Replaces the device's latency for draws from now on: an HBA's firmware latency, an
    /// interrupt source's delay after a trigger, a stall's duration. Sweeps fork a machine before
    /// the first draw ([`Device::draws`] is 0) and set the value of each fork.
    pub fn set_latency(&mut self, latency: &Latency) {
        match self {
            Device::Hba(hba) => hba.set_firmware_latency(latency),
            Device::IrqSource(source) => source.set_delay(latency),
            Device::Stall(stall) => stall.set_duration(latency),
        }
    }

    /// The least value that this latency can have: shorter ones are taken for it.
    #[must_use]
    pub fn least_latency(&self) -> u64 {
        match self {
            Device::Hba(_) | Device::Stall(_) => 0,
            Device::IrqSource(_) => arrivals::LEAST_DELAY,
        }
    }

    /// Moves the first arrival of an interrupt source that is not armed yet.
    pub fn set_first_arrival(&mut self, cycles: u64) {
        match self {
            Device::IrqSource(source) => source.set_first_arrival(cycles),
            Device::Hba(_) | Device::Stall(_) => {}
        }
    }

    /// Replaces the latency of an HBA's interrupts from now on.
    pub fn set_interrupt_latency(&mut self, cycles: u64) {
        match self {
            Device::Hba(hba) => hba.set_interrupt_latency(cycles),
            Device::IrqSource(_) | Device::Stall(_) => {}
        }
    }

    /// How often the latency has been drawn that [`Device::set_latency`] sets.
    #[must_use]
    pub fn draws(&self) -> u64 {
        match self {
            Device::Hba(hba) => hba.draws(),
            Device::IrqSource(source) => source.draws(),
            Device::Stall(stall) => stall.draws(),
        }
    }
}
