//! `machine: (…)`.

use super::Decoder;
use crate::tree::{Name, Node, Spanned, Value};
use crate::units::Duration;

/// The machine as written: a preset and what differs from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// Name of the preset; `westmere-ep` if left out.
    pub preset: Option<Spanned<String>>,
    /// Number of packages, each like the preset's; as many as the preset has if left out.
    pub sockets: Option<Spanned<u64>>,
    /// Number of CPUs; one in each seat of the packages if left out.
    pub cores: Option<Spanned<u64>>,
    /// Core clock in Hz; the preset's if left out.
    pub clock: Option<Spanned<u64>>,
    /// True: the guest runs its LAPICs in x2APIC mode.
    pub x2apic: Option<Spanned<bool>>,
    /// Values of [`sim_x86::spec::MachineSpec`] to change, by the name of its part.
    pub overrides: Vec<Override>,
}

/// A field of the machine's specification to change, or a group of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// Name of the field.
    pub name: Name,
    /// Its new value.
    pub value: Spanned<OverrideValue>,
}

/// A new value for a field of the specification.
#[derive(Clone, Debug, PartialEq)]
pub enum OverrideValue {
    /// A whole number.
    Number(u64),
    /// A duration, to be turned into cycles.
    Duration(Duration),
    /// A list, e.g. one value per distance.
    List(Vec<Spanned<OverrideValue>>),
    /// A structure of further fields.
    Fields(Vec<Override>),
}

impl Machine {
    pub(super) fn decode(d: &mut Decoder, node: &Node) -> Option<Machine> {
        let mut f = d.structure(node, "the machine", None)?;
        let mut machine = Machine {
            preset: f.optional(d, "preset", Decoder::string),
            sockets: f.optional(d, "sockets", |d, n| d.uint(n, "the number of sockets", 1..=128)),
            cores: f.optional(d, "cores", |d, n| d.uint(n, "the number of CPUs", 1..=1_024)),
            clock: f.optional(d, "clock", clock),
            x2apic: f.optional(d, "x2apic", Decoder::bool),
            overrides: Vec::new(),
        };
        for name in ["topology", "memory", "costs", "interrupts", "perturb"] {
            if let Some(node) = f.node(name) {
                let value = OverrideValue::decode(d, node);
                if let Some(value) = value {
                    let name = Spanned::new(name.to_owned(), node.span);
                    machine.overrides.push(Override { name, value });
                }
            }
        }
        f.finish(d);
        Some(machine)
    }
}

impl OverrideValue {
    fn decode(d: &mut Decoder, node: &Node) -> Option<Spanned<OverrideValue>> {
        let value = match &node.value {
            Value::Int(_) => OverrideValue::Number(d.uint(node, "this value", 0..=u64::MAX)?.value),
            Value::Str(_) => OverrideValue::Duration(d.duration(node)?.value),
            Value::List(items) | Value::Tuple(None, items) => {
                let items = items.iter().filter_map(|item| OverrideValue::decode(d, item));
                OverrideValue::List(items.collect())
            }
            Value::Struct(None, fields) => OverrideValue::Fields(
                fields
                    .iter()
                    .filter_map(|(name, node)| {
                        let value = OverrideValue::decode(d, node)?;
                        Some(Override { name: name.clone(), value })
                    })
                    .collect(),
            ),
            Value::Unit => OverrideValue::Fields(Vec::new()),
            _ => {
                d.mismatch(node, "a number of cycles, a duration, a list or a structure", None);
                return None;
            }
        };
        Some(Spanned::new(value, node.span))
    }
}

/// A clock rate: Hz as a whole number, or `"2.93GHz"`.
fn clock(d: &mut Decoder, node: &Node) -> Option<Spanned<u64>> {
    const RANGE: std::ops::RangeInclusive<u64> = 1_000_000..=100_000_000_000;
    let Value::Str(text) = &node.value else {
        return d.uint(node, "the clock in Hz", RANGE);
    };
    let scaled = [("GHz", 1e9), ("MHz", 1e6), ("kHz", 1e3), ("Hz", 1.0)]
        .into_iter()
        .find_map(|(unit, scale)| Some((text.trim().strip_suffix(unit)?, scale)))
        .and_then(|(number, scale)| Some(number.trim().parse::<f64>().ok()? * scale));
    let hertz = scaled.filter(|hertz| (1e6..=1e11).contains(hertz));
    if let Some(hertz) = hertz {
        return Some(Spanned::new(hertz.round() as u64, node.span));
    }
    let help = Some("write Hz as a whole number or, for example, \"2.93GHz\"".to_owned());
    d.error(node.span, format!("`{text}` is not a clock rate from 1MHz to 100GHz"), help);
    None
}
