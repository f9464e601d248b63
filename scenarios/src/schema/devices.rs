//! `devices: {…}` and `variables: {…}`.

use super::{Decoder, Fields, KernelOp};
use crate::tree::{Name, Node, Spanned, Value};
use crate::units::Duration;

/// A device as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: DeviceKind,
}

/// Kinds of devices.
#[derive(Clone, Debug, PartialEq)]
pub enum DeviceKind {
    /// `Hba(…)`: a host bus adapter of the LSI SAS2008 kind.
    Hba(Hba),
    /// `Irq(…)`: a source of interrupts with a handler.
    Irq(IrqLine),
    /// `Stall(…)`: SMI-like stalls.
    Stall(Stall),
}

/// How long something takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Latency {
    /// Always the same.
    Constant(Spanned<Duration>),
    /// `Uniform(lo, hi)`.
    Uniform(Spanned<Duration>, Spanned<Duration>),
    /// `Normal(mean, sd)`.
    Normal(Spanned<Duration>, Spanned<Duration>),
    /// `LogNormal(median, sigma)`.
    LogNormal(Spanned<Duration>, f64),
    /// `Listed([…])`: one per request, the last repeats.
    Listed(Vec<Spanned<Duration>>),
}

/// When a device strikes.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// `At([…])`: at these times after the epoch.
    At(Vec<Spanned<Duration>>),
    /// `Every(period, first)`.
    Every {
        /// Distance.
        period: Spanned<Duration>,
        /// First arrival; one period after the epoch if left out.
        first: Option<Spanned<Duration>>,
    },
    /// `Poisson(mean, first)`.
    Poisson {
        /// Mean distance.
        mean: Spanned<Duration>,
        /// Earliest arrival.
        first: Option<Spanned<Duration>>,
    },
    /// `OnReach(symbol, …)`: when a CPU reaches an instruction.
    OnReach {
        /// Function or label.
        symbol: Spanned<String>,
        /// Bytes from the symbol.
        offset: u64,
        /// Only on this CPU.
        cpu: Option<Spanned<u64>>,
        /// Which occurrence is the first to count.
        nth: u64,
        /// From reaching it to the arrival.
        delay: Latency,
    },
}

/// `Hba(…)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Hba {
    /// CPU that takes its interrupt.
    pub irq_cpu: Spanned<u64>,
    /// Interrupt vector; chosen if left out.
    pub vector: Option<Spanned<u64>>,
    /// From the arrival of a request to its reply.
    pub firmware_latency: Latency,
    /// The same for the first requests, one each.
    pub first_latencies: Vec<Spanned<Duration>>,
    /// True: message-signalled interrupt.
    pub msi: bool,
    /// Overrides the machine's MSI or INTx latency.
    pub interrupt_latency: Option<Spanned<Duration>>,
    /// Interrupt coalescing: depth and timeout.
    pub coalescing: Option<(u64, Spanned<Duration>)>,
    /// From a reset to READY.
    pub reset_time: Option<Spanned<Duration>>,
    /// True: nothing has initialised the driver's completion before its first use.
    pub first_use_uninitialised: bool,
    /// Commands pretended to have run before: both halves of the lock word start at this value.
    pub initial_uses: u64,
}

/// Who handles an interrupt.
#[derive(Clone, Debug, PartialEq)]
pub enum Handler {
    /// A function `int f(int irq, void *arg)` of an object.
    Symbol(Spanned<String>),
    /// A script.
    Script(Vec<Spanned<KernelOp>>),
}

/// `Irq(…)`.
#[derive(Clone, Debug, PartialEq)]
pub struct IrqLine {
    /// CPU that it interrupts.
    pub cpu: Spanned<u64>,
    /// Interrupt vector; chosen if left out.
    pub vector: Option<Spanned<u64>>,
    /// When.
    pub at: Arrivals,
    /// Who handles it.
    pub handler: Handler,
    /// True: the handler runs with interrupts disabled.
    pub irqs_disabled: bool,
    /// Most interrupts.
    pub limit: Option<u64>,
}

/// `Stall(…)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Stall {
    /// When.
    pub at: Arrivals,
    /// How long.
    pub duration: Latency,
    /// Which CPU; all if left out.
    pub cpu: Option<Spanned<u64>>,
    /// Most stalls.
    pub limit: Option<u64>,
}

impl Device {
    pub(super) fn decode(d: &mut Decoder, name: &Name, node: &Node) -> Option<Device> {
        let (kind, mut f) = d.variant(node, "a device", &["Hba", "Irq", "Stall"])?;
        let device = match kind.value.as_str() {
            "Hba" => Hba::decode(d, &mut f).map(DeviceKind::Hba),
            "Irq" => IrqLine::decode(d, &mut f).map(DeviceKind::Irq),
            _ => Stall::decode(d, &mut f).map(DeviceKind::Stall),
        };
        f.finish(d);
        device.map(|kind| Device { name: name.clone(), kind })
    }
}

/// A CPU's number; whether the machine has it is checked later.
pub(super) fn cpu(d: &mut Decoder, node: &Node) -> Option<Spanned<u64>> {
    d.uint(node, "a CPU's number", 0..=u64::from(u32::MAX))
}

fn vector(d: &mut Decoder, node: &Node) -> Option<Spanned<u64>> {
    d.uint(node, "a device's vector (0x41 to 0xdf)", 0x41..=0xdf)
}

fn count(d: &mut Decoder, node: &Node) -> Option<Spanned<u64>> {
    d.uint(node, "this count", 1..=u64::MAX)
}

impl Hba {
    /// Missing fields are noted and stand at a default, so that the rest is still checked.
    fn decode(d: &mut Decoder, f: &mut Fields<'_>) -> Option<Hba> {
        Some(Hba {
            irq_cpu: f.required(d, "irq_cpu", cpu).unwrap_or_default(),
            firmware_latency: f
                .required(d, "firmware_latency", Latency::decode)
                .unwrap_or_default(),
            first_latencies: f
                .optional(d, "first_latencies", |d, n| d.list(n, "durations", Decoder::duration))
                .unwrap_or_default(),
            vector: f.optional(d, "vector", vector),
            msi: f.optional(d, "msi", Decoder::bool).is_none_or(|b| b.value),
            interrupt_latency: f.optional(d, "interrupt_latency", Decoder::duration),
            coalescing: f.optional(d, "coalescing", coalescing),
            reset_time: f.optional(d, "reset_time", Decoder::duration),
            first_use_uninitialised: f
                .optional(d, "first_use_uninitialised", Decoder::bool)
                .is_some_and(|b| b.value),
            initial_uses: f
                .optional(d, "initial_uses", |d, n| d.uint(n, "earlier uses", 0..=0xffff))
                .map_or(0, |n| n.value),
        })
    }
}

fn coalescing(d: &mut Decoder, node: &Node) -> Option<(u64, Spanned<Duration>)> {
    let mut f = d.structure(node, "interrupt coalescing", None)?;
    let depth = f.required(d, "depth", count);
    let timeout = f.required(d, "timeout", Decoder::positive);
    f.finish(d);
    Some((depth?.value, timeout?))
}

impl IrqLine {
    fn decode(d: &mut Decoder, f: &mut Fields<'_>) -> Option<IrqLine> {
        Some(IrqLine {
            cpu: f.required(d, "cpu", cpu).unwrap_or_default(),
            at: f.required(d, "at", Arrivals::decode).unwrap_or(Arrivals::At(Vec::new())),
            handler: f
                .required(d, "handler", Handler::decode)
                .unwrap_or(Handler::Script(Vec::new())),
            vector: f.optional(d, "vector", vector),
            irqs_disabled: f.optional(d, "irqs_disabled", Decoder::bool).is_some_and(|b| b.value),
            limit: f.optional(d, "limit", count).map(|n| n.value),
        })
    }
}

impl Handler {
    fn decode(d: &mut Decoder, node: &Node) -> Option<Handler> {
        match node.value {
            Value::Str(_) => d.string(node).map(Handler::Symbol),
            _ => d.list(node, "kernel operations", KernelOp::decode).map(Handler::Script),
        }
    }
}

impl Stall {
    fn decode(d: &mut Decoder, f: &mut Fields<'_>) -> Option<Stall> {
        Some(Stall {
            at: f.required(d, "at", Arrivals::decode).unwrap_or(Arrivals::At(Vec::new())),
            duration: f.required(d, "duration", Latency::decode).unwrap_or_default(),
            cpu: f.optional(d, "cpu", cpu),
            limit: f.optional(d, "limit", count).map(|n| n.value),
        })
    }
}

impl Default for Latency {
    fn default() -> Self {
        Latency::Constant(Spanned::default())
    }
}

impl Latency {
    pub(crate) fn decode(d: &mut Decoder, node: &Node) -> Option<Latency> {
        const NAMES: [&str; 5] = ["Constant", "Uniform", "Normal", "LogNormal", "Listed"];
        if matches!(node.value, Value::Str(_) | Value::Int(_) | Value::Float(_)) {
            return d.duration(node).map(Latency::Constant);
        }
        let (name, mut f) = d.variant(node, "a latency", &NAMES)?;
        let latency = match name.value.as_str() {
            "Constant" => f.required(d, "value", Decoder::duration).map(Latency::Constant),
            "Uniform" => {
                let lo = f.required(d, "lo", Decoder::duration);
                let hi = f.required(d, "hi", Decoder::duration);
                lo.zip(hi).map(|(lo, hi)| Latency::Uniform(lo, hi))
            }
            "Normal" => {
                let mean = f.required(d, "mean", Decoder::duration);
                let sd = f.required(d, "sd", Decoder::duration);
                mean.zip(sd).map(|(mean, sd)| Latency::Normal(mean, sd))
            }
            "LogNormal" => {
                let median = f.required(d, "median", Decoder::positive);
                let sigma = f.required(d, "sigma", |d, n| d.float(n, "sigma"));
                median.zip(sigma).map(|(median, sigma)| Latency::LogNormal(median, sigma.value))
            }
            _ => f.required(d, "values", durations).map(Latency::Listed),
        };
        f.finish(d);
        latency
    }
}

fn durations(d: &mut Decoder, node: &Node) -> Option<Vec<Spanned<Duration>>> {
    let list = d.list(node, "durations", Decoder::duration)?;
    if matches!(&node.value, Value::List(items) if items.is_empty()) {
        d.error(node.span, "this list must not be empty", None);
        return None;
    }
    Some(list)
}

impl Arrivals {
    fn decode(d: &mut Decoder, node: &Node) -> Option<Arrivals> {
        const NAMES: [&str; 4] = ["At", "Every", "Poisson", "OnReach"];
        if matches!(node.value, Value::Str(_) | Value::Int(_)) {
            return d.duration(node).map(|at| Arrivals::At(vec![at]));
        }
        let (name, mut f) = d.variant(node, "a kind of arrivals", &NAMES)?;
        let arrivals = match name.value.as_str() {
            "At" => f.required(d, "times", times).map(Arrivals::At),
            "Every" => {
                let period = f.required(d, "period", Decoder::positive);
                let first = f.optional(d, "first", Decoder::duration);
                period.map(|period| Arrivals::Every { period, first })
            }
            "Poisson" => {
                let mean = f.required(d, "mean", Decoder::positive);
                let first = f.optional(d, "first", Decoder::duration);
                mean.map(|mean| Arrivals::Poisson { mean, first })
            }
            _ => Arrivals::on_reach(d, &mut f),
        };
        f.finish(d);
        arrivals
    }

    fn on_reach(d: &mut Decoder, f: &mut Fields<'_>) -> Option<Arrivals> {
        let symbol = f.required(d, "symbol", Decoder::string);
        let cpu = f.optional(d, "cpu", cpu);
        let offset = f.optional(d, "offset", |d, n| d.uint(n, "an offset", 0..=0xff_ffff));
        let nth = f.optional(d, "nth", count);
        let delay = f.optional(d, "delay", Latency::decode).unwrap_or_default();
        Some(Arrivals::OnReach {
            symbol: symbol?,
            offset: offset.map_or(0, |n| n.value),
            cpu,
            nth: nth.map_or(1, |n| n.value),
            delay,
        })
    }
}

/// One duration or an ascending list of them.
fn times(d: &mut Decoder, node: &Node) -> Option<Vec<Spanned<Duration>>> {
    if matches!(node.value, Value::Str(_) | Value::Int(_)) {
        return d.duration(node).map(|at| vec![at]);
    }
    durations(d, node)
}

/// A named piece of kernel memory for scripts.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: VariableKind,
}

/// Kinds of variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariableKind {
    /// A ticket spinlock.
    Lock,
    /// 64 bits with an initial value.
    Word(u64),
    /// A `struct completion`, initialised.
    Completion,
    /// A `struct mutex`, free.
    Mutex,
}

impl Variable {
    pub(super) fn decode(d: &mut Decoder, name: &Name, node: &Node) -> Option<Variable> {
        const NAMES: [&str; 4] = ["Lock", "Word", "Completion", "Mutex"];
        let (kind, mut f) = d.variant(node, "a kind of variable", &NAMES)?;
        let kind = match kind.value.as_str() {
            "Lock" => VariableKind::Lock,
            "Word" => {
                let value = f.optional(d, "value", Decoder::word);
                VariableKind::Word(value.map_or(0, |word| word.value))
            }
            "Completion" => VariableKind::Completion,
            _ => VariableKind::Mutex,
        };
        f.finish(d);
        let fits = name.value.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
            && name.value.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
        if !fits {
            let help = Some("letters, digits and _ only, as in C".to_owned());
            d.error(name.span, format!("`{}` is not a variable's name", name.value), help);
        }
        Some(Variable { name: name.clone(), kind })
    }
}
