//! Devices: their CPUs, vectors and registers.

use super::Plan;
use crate::diagnostics::{Diagnostics, Sources};
use crate::schema::{Arrivals, Decoder, Device, DeviceKind, Handler, Hba, IrqLine, Latency, Stall};
use crate::set_path;
use crate::tree::{Span, Spanned};
use crate::units::Duration;
use sim_core::Hertz;
use sim_x86::core::translate::DEVICE_BASE;
use sim_x86::dev::{
    Arrivals as SpecArrivals, DeviceSpec, HbaSpec, IrqSourceSpec, Latency as SpecLatency, StallSpec,
};
use sim_x86::ids::{CoreId, DeviceId, PhysAddr};
use sim_x86::trace::Delivery;

/// Distance between the registers of two HBAs; those of the first come first of all devices.
pub const HBA_STRIDE: u64 = 0x1_0000;
/// The guest's driver has room for this many adapters.
const MOST_HBAS: usize = 4;
/// The first device vector of Linux 2.6.32 on x86-64.
const FIRST_VECTOR: u8 = 0x41;
/// Above it are the vectors that the guest kernel uses itself.
const LAST_VECTOR: u8 = 0xdf;
/// Reset of a SAS2008 until READY: the delays of the driver's hard reset path add up to about half
/// a second (50 ms + 255 ms + 256 ms).
const RESET_TIME: Duration = Duration::Picos(561_000_000_000);

/// An HBA as the guest must know it.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedHba {
    /// Its name.
    pub name: String,
    /// Its interrupt vector.
    pub vector: u8,
    /// The CPU that takes its interrupt.
    pub irq_cpu: u16,
    /// True: message-signalled.
    pub msi: bool,
    /// True: nothing has initialised the driver's completion.
    pub first_use_uninitialised: bool,
    /// Both halves of the completion's lock word at the start.
    pub initial_uses: u16,
}

/// An interrupt source as the guest must know it.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedIrq<'s> {
    /// Its name.
    pub name: &'s str,
    /// Its interrupt vector.
    pub vector: u8,
    /// The CPU that it interrupts.
    pub cpu: u16,
    /// Who handles it.
    pub handler: &'s Handler,
    /// True: the handler runs with interrupts disabled.
    pub irqs_disabled: bool,
}

/// A device that waits for a CPU to reach an instruction.
#[derive(Clone, Debug, PartialEq)]
pub struct Reach<'s> {
    /// Which device.
    pub device: DeviceId,
    /// Symbol of the instruction.
    pub symbol: &'s Spanned<String>,
    /// Bytes from the symbol.
    pub offset: u64,
    /// Only this CPU.
    pub core: Option<CoreId>,
    /// Which occurrence is the first to count.
    pub nth: u64,
}

impl<'s> Plan<'s> {
    pub(super) fn add_devices(&mut self, diags: &mut Diagnostics) {
        let vectors = vectors(&self.scenario.devices, diags);
        for (device, vector) in self.scenario.devices.iter().zip(vectors) {
            let Ok(id) = u8::try_from(self.spec.devices.len()) else {
                diags.error(device.name.span, "there may be 256 devices at most", None);
                return;
            };
            let spec = match &device.kind {
                DeviceKind::Hba(hba) => self.add_hba(device, hba, vector, diags),
                DeviceKind::Irq(irq) => self.add_irq(device, irq, vector, DeviceId(id), diags),
                DeviceKind::Stall(stall) => self.add_stall(device, stall, DeviceId(id), diags),
            };
            self.spec.devices.push(spec);
        }
    }

    fn add_hba(
        &mut self,
        device: &Device,
        hba: &Hba,
        vector: u8,
        diags: &mut Diagnostics,
    ) -> DeviceSpec {
        let clock = self.spec.clock;
        let index = self.hbas.len();
        if index == MOST_HBAS {
            let message = format!("the guest's driver knows {MOST_HBAS} adapters at most");
            diags.error(device.name.span, message, None);
        }
        if hba.first_use_uninitialised && hba.initial_uses > 0 {
            let message = "a completion that was never initialised has had no earlier uses";
            let help = Some("remove `initial_uses` or `first_use_uninitialised`".to_owned());
            diags.error(device.name.span, message, help);
        }
        self.hbas.push(PlannedHba {
            name: device.name.value.clone(),
            vector,
            irq_cpu: self.cpu(&hba.irq_cpu, diags),
            msi: hba.msi,
            first_use_uninitialised: hba.first_use_uninitialised,
            initial_uses: u16::try_from(hba.initial_uses).unwrap_or(u16::MAX),
        });
        let (depth, timeout) = hba
            .coalescing
            .as_ref()
            .map_or((1, 0), |(depth, timeout)| (*depth, timeout.value.cycles(clock)));
        DeviceSpec::Hba(HbaSpec {
            name: device.name.value.clone(),
            regs: PhysAddr(DEVICE_BASE + index as u64 * HBA_STRIDE),
            firmware_latency: latency(&hba.firmware_latency, clock, device.name.span, diags),
            first_latencies: hba
                .first_latencies
                .iter()
                .map(|time| time.value.cycles(clock))
                .collect(),
            msi: hba.msi,
            interrupt_latency: hba.interrupt_latency.as_ref().map(|time| time.value.cycles(clock)),
            coalescing_depth: u32::try_from(depth).unwrap_or(u32::MAX),
            coalescing_timeout: timeout,
            reset_time: hba.reset_time.as_ref().map_or(RESET_TIME, |time| time.value).cycles(clock),
        })
    }

    fn add_irq(
        &mut self,
        device: &'s Device,
        irq: &'s IrqLine,
        vector: u8,
        id: DeviceId,
        diags: &mut Diagnostics,
    ) -> DeviceSpec {
        let cpu = self.cpu(&irq.cpu, diags);
        self.irqs.push(PlannedIrq {
            name: &device.name.value,
            vector,
            cpu,
            handler: &irq.handler,
            irqs_disabled: irq.irqs_disabled,
        });
        DeviceSpec::IrqSource(IrqSourceSpec {
            name: device.name.value.clone(),
            arrivals: self.arrivals(&irq.at, device.name.span, id, diags),
            to: CoreId(cpu),
            delivery: Delivery::Fixed(vector),
            limit: irq.limit,
        })
    }

    fn add_stall(
        &mut self,
        device: &Device,
        stall: &'s Stall,
        id: DeviceId,
        diags: &mut Diagnostics,
    ) -> DeviceSpec {
        let clock = self.spec.clock;
        DeviceSpec::Stall(StallSpec {
            name: device.name.value.clone(),
            arrivals: self.arrivals(&stall.at, device.name.span, id, diags),
            duration: latency(&stall.duration, clock, device.name.span, diags),
            core: stall.cpu.as_ref().map(|cpu| CoreId(self.cpu(cpu, diags))),
            limit: stall.limit,
        })
    }

    fn arrivals(
        &mut self,
        arrivals: &'s Arrivals,
        span: Span,
        id: DeviceId,
        diags: &mut Diagnostics,
    ) -> SpecArrivals {
        let clock = self.spec.clock;
        match arrivals {
            Arrivals::At(times) => {
                let cycles: Vec<u64> = times.iter().map(|time| time.value.cycles(clock)).collect();
                if let Some(index) = cycles.windows(2).position(|pair| pair[1] < pair[0]) {
                    let help = Some("list the times in ascending order".to_owned());
                    let span = times[index + 1].span;
                    diags.error(span, "this time comes before the one listed before it", help);
                }
                SpecArrivals::Listed(cycles)
            }
            Arrivals::Every { period, first } => {
                let period = period.value.cycles(clock);
                let first = first.as_ref().map_or(period, |first| first.value.cycles(clock));
                SpecArrivals::Periodic { first, period: period.max(1) }
            }
            Arrivals::Poisson { mean, first } => SpecArrivals::Poisson {
                first: first.as_ref().map_or(0, |first| first.value.cycles(clock)),
                mean: mean.value.cycles(clock).max(1) as f64,
            },
            Arrivals::OnReach { symbol, offset, cpu, nth, delay } => {
                let core = cpu.as_ref().map(|cpu| CoreId(self.cpu(cpu, diags)));
                let (offset, nth) = (*offset, *nth);
                self.reaches.push(Reach { device: id, symbol, offset, core, nth });
                SpecArrivals::Reach { delay: latency(delay, clock, span, diags) }
            }
        }
    }
}

/// A distribution that stands alone, as devices have it; `name` is where `text` was written.
pub(crate) fn latency_alone(
    name: &str,
    text: &str,
    clock: Hertz,
) -> Result<SpecLatency, Diagnostics> {
    let mut sources = Sources::default();
    let node = set_path::value(text, sources.add(name, text), 0);
    let mut decoder = Decoder { diags: Diagnostics::new(sources) };
    let written = Latency::decode(&mut decoder, &node);
    let mut diags = decoder.diags;
    if let Some(Latency::Listed(_)) = written {
        let help = "measured latencies come from a file: csv:FILE".to_owned();
        diags.error(node.span, "a list in order is not a distribution", Some(help));
    }
    let drawn = written.map(|written| latency(&written, clock, node.span, &mut diags));
    drawn.filter(|_| diags.errors() == 0).ok_or(diags)
}

/// A latency in cycles.
fn latency(latency: &Latency, clock: Hertz, span: Span, diags: &mut Diagnostics) -> SpecLatency {
    let cycles = |time: &Spanned<Duration>| time.value.cycles(clock);
    match latency {
        Latency::Constant(time) => SpecLatency::Constant(cycles(time)),
        Latency::Uniform(lo, hi) => {
            let (lo, hi, span) = (cycles(lo), cycles(hi), hi.span);
            if hi < lo {
                let help = Some("write Uniform(lo, hi)".to_owned());
                diags.error(span, "the greatest value is below the least", help);
            }
            SpecLatency::Uniform { lo, hi: hi.max(lo) }
        }
        Latency::Normal(mean, sd) => {
            SpecLatency::Normal { mean: cycles(mean) as f64, sd: cycles(sd) as f64 }
        }
        Latency::LogNormal(median, sigma) => {
            SpecLatency::LogNormal { median: cycles(median).max(1) as f64, sigma: *sigma }
        }
        Latency::Listed(times) => {
            if times.is_empty() {
                diags.error(span, "a list of latencies must not be empty", None);
                return SpecLatency::Constant(0);
            }
            SpecLatency::Listed(times.iter().map(cycles).collect())
        }
    }
}

/// A vector for every device: those that are given, and free ones of separate priority classes
/// for the others.
fn vectors(devices: &[Device], diags: &mut Diagnostics) -> Vec<u8> {
    let given = |device: &Device| match &device.kind {
        DeviceKind::Hba(hba) => hba.vector,
        DeviceKind::Irq(irq) => irq.vector,
        DeviceKind::Stall(_) => None,
    };
    let mut taken: Vec<u8> = Vec::new();
    for vector in devices.iter().filter_map(given) {
        let number = vector.value as u8;
        if taken.contains(&number) {
            let help = Some("leave `vector` out to have one chosen".to_owned());
            diags.error(vector.span, format!("two devices share vector {number:#x}"), help);
        }
        taken.push(number);
    }
    let candidates = (0..8u8).flat_map(|low| (FIRST_VECTOR + low..=LAST_VECTOR).step_by(8));
    let mut free = candidates.filter(|vector| !taken.contains(vector)).collect::<Vec<_>>();
    free.reverse();
    let mut choose = |device: &Device| {
        free.pop().unwrap_or_else(|| {
            diags.error(device.name.span, "no interrupt vector is left for this device", None);
            FIRST_VECTOR
        })
    };
    devices
        .iter()
        .map(|device| match (&device.kind, given(device)) {
            (DeviceKind::Stall(_), _) => 0,
            (_, Some(vector)) => vector.value as u8,
            (_, None) => choose(device),
        })
        .collect()
}
