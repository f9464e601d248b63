//! The machine: a preset, changed by what the scenario says.

use crate::boot::MAX_CPUS;
use crate::diagnostics::{Diagnostics, suggest};
use crate::schema::{Override, OverrideValue, Scenario};
use crate::set_path::span_at;
use crate::tree::{Node, Span, Spanned};
use serde_json::Value as Json;
use sim_core::Hertz;
use sim_x86::presets;
use sim_x86::spec::MachineSpec;

/// The preset that scenarios run on unless they name another.
const DEFAULT_PRESET: &str = "westmere-ep";

/// User memory of the guest ends here; RAM must reach as far.
const LEAST_RAM: u64 = 0x8000_0000;

/// The machine of a scenario, without devices.
pub(super) fn spec(scenario: &Scenario, diags: &mut Diagnostics) -> MachineSpec {
    let machine = &scenario.machine;
    let named = machine.preset.as_ref().map(|name| (presets::preset(&name.value), name));
    if let Some((None, name)) = &named {
        let help = suggest(&name.value, presets::names().iter().copied());
        diags.error(name.span, format!("there is no machine `{}`", name.value), help);
    }
    let mut spec = named
        .and_then(|(spec, _)| spec)
        .or_else(|| presets::preset(DEFAULT_PRESET))
        .unwrap_or_else(presets::westmere_ep);
    if let Some(sockets) = &machine.sockets {
        spec = spec.with_sockets(u32::try_from(sockets.value).unwrap_or(u32::MAX));
    }
    if let Some(cores) = &machine.cores {
        spec.cores = u32::try_from(cores.value).unwrap_or(u32::MAX);
    }
    if let Some(clock) = &machine.clock {
        spec.clock = Hertz(clock.value);
    }
    if let Some(x2apic) = &machine.x2apic {
        spec.x2apic = x2apic.value;
    }
    spec.seed = scenario.seed;
    changed(spec, &machine.overrides, diags)
}

/// `spec` with fields of its parts replaced.
fn changed(spec: MachineSpec, overrides: &[Override], diags: &mut Diagnostics) -> MachineSpec {
    let (Some(first), Ok(mut json)) = (overrides.first(), serde_json::to_value(&spec)) else {
        return spec;
    };
    let before = diags.errors();
    let clock = spec.clock;
    merge_fields(&mut json, overrides, first.name.span, &mut Merge { clock, diags });
    if diags.errors() > before {
        return spec;
    }
    match serde_json::from_value(json) {
        Ok(changed) => changed,
        Err(error) => {
            let message = format!("these values don't fit the machine: {error}");
            diags.error(first.value.span, message, None);
            spec
        }
    }
}

struct Merge<'a> {
    clock: Hertz,
    diags: &'a mut Diagnostics,
}

fn merge_fields(json: &mut Json, fields: &[Override], span: Span, m: &mut Merge<'_>) {
    let Json::Object(object) = json else {
        m.diags.error(span, "this value has no fields", None);
        return;
    };
    for field in fields {
        let known: Vec<String> = object.keys().cloned().collect();
        match object.get_mut(&field.name.value) {
            Some(slot) => merge(slot, &field.name.value, &field.value, m),
            None => {
                let help = suggest(&field.name.value, known.iter().map(String::as_str));
                let message = format!("the machine has no `{}` here", field.name.value);
                m.diags.error(field.name.span, message, help);
            }
        }
    }
}

fn merge(slot: &mut Json, name: &str, value: &Spanned<OverrideValue>, m: &mut Merge<'_>) {
    // All values of the specification are 32-bit but the size of RAM.
    let most = if name == "ram_bytes" { u64::MAX } else { u64::from(u32::MAX) };
    match (&value.value, &mut *slot) {
        (OverrideValue::Fields(fields), _) => merge_fields(slot, fields, value.span, m),
        (OverrideValue::List(items), Json::Array(array)) => {
            // Only the matrix of hops may change its size.
            if name != "hops" && items.len() != array.len() {
                let message = format!("`{name}` takes {} values", array.len());
                m.diags.error(value.span, message, None);
                return;
            }
            let pattern = array.first().cloned().unwrap_or(Json::Null);
            array.resize(items.len(), pattern);
            for (slot, item) in array.iter_mut().zip(items) {
                merge(slot, name, item, m);
            }
        }
        (OverrideValue::Number(number), Json::Number(_)) if *number <= most => {
            *slot = Json::from(*number);
        }
        (OverrideValue::Duration(duration), Json::Number(_)) => {
            let cycles = duration.cycles(m.clock);
            if cycles > most {
                m.diags.error(value.span, format!("{cycles} cycles are too many"), None);
            } else {
                *slot = Json::from(cycles);
            }
        }
        (OverrideValue::Number(number), Json::Number(_)) => {
            let message = format!("{number} is out of range for `{name}`: 0 to {most}");
            m.diags.error(value.span, message, None);
        }
        (_, Json::Number(_)) => {
            m.diags.error(value.span, format!("`{name}` is a single number"), None);
        }
        (_, Json::Array(array)) => {
            let help = Some(format!("write a list of {} values: […]", array.len()));
            m.diags.error(value.span, format!("`{name}` is a list"), help);
        }
        _ => {
            let help = Some("write (field: value, …)".to_owned());
            m.diags.error(value.span, format!("`{name}` is a structure"), help);
        }
    }
}

/// Notes what makes the machine impossible, where the scenario says so. `guest`: the guest kernel
/// is to run on it.
pub(super) fn validate(spec: &MachineSpec, guest: bool, tree: &Node, diags: &mut Diagnostics) {
    if guest && spec.cores > MAX_CPUS {
        let message = format!(
            "the guest kernel has room for {MAX_CPUS} CPUs, this machine has {}",
            spec.cores
        );
        let help = "name fewer `cores`, or a program of your own: `image: \"program.elf\"`";
        diags.error(span_at(tree, "machine.cores"), message, Some(help.to_owned()));
    }
    if spec.memory.ram_bytes < LEAST_RAM {
        let span = span_at(tree, "machine.memory.ram_bytes");
        let message = format!("the guest kernel needs at least {LEAST_RAM:#x} bytes of RAM");
        diags.error(span, message, None);
    }
    // Mistakes that were noted before would be found again here, in other words.
    if diags.errors() > 0 {
        return;
    }
    let Err(errors) = spec.validate() else { return };
    for error in errors.0 {
        let device = error.field.strip_prefix("devices[").and_then(|rest| {
            let (index, field) = rest.split_once(']')?;
            let name = spec.devices.get(index.parse::<usize>().ok()?)?.name();
            Some(format!("devices.{name}{field}"))
        });
        let path = device.unwrap_or_else(|| format!("machine.{}", error.field));
        let message = format!("{}: {}", error.field, error.problem);
        let help = (error.field == "cores").then(|| room_for(spec));
        diags.error(span_at(tree, &path), message, help);
    }
}

/// What to write for a machine of as many CPUs as `spec` is to have.
fn room_for(spec: &MachineSpec) -> String {
    let sockets = spec.cores.div_ceil(spec.topology.cores_per_package().max(1));
    let x2apic = if spec.cores > 255 { ", x2apic: true" } else { "" };
    format!("for {} CPUs of this preset write `sockets: {sockets}{x2apic}`", spec.cores)
}
