//! What a parameter is for the machine, if tracked forks can decide it.

use crate::load::Loaded;
use crate::simulation::Simulation;
use sim_x86::dev::{Arrivals, DeviceSpec, IrqSourceSpec, Latency};
use sim_x86::ids::DeviceId;
use sim_x86::tile::swept::Swept;

/// The time of the machine that the parameter `path` is, if it is one that tracked runs follow.
pub(super) fn swept(path: &str, loaded: &Loaded) -> Option<Swept> {
    let (name, field) = path.strip_prefix("devices.")?.split_once('.')?;
    let position = loaded.spec.devices.iter().position(|device| device.name() == name)?;
    let id = DeviceId(u8::try_from(position).ok()?);
    match (&loaded.spec.devices[position], field) {
        (DeviceSpec::Hba(_), "firmware_latency") => Some(Swept::Latency(id)),
        (DeviceSpec::Hba(_), "interrupt_latency") => Some(Swept::Message(id)),
        (DeviceSpec::IrqSource(source), field) => of_source(source, field, id),
        _ => None,
    }
}

fn of_source(source: &IrqSourceSpec, field: &str, id: DeviceId) -> Option<Swept> {
    match (&source.arrivals, field) {
        // Of several that are listed, the others would stay.
        (Arrivals::Listed(times), "at") if times.len() == 1 => Some(Swept::Arrival(id)),
        (Arrivals::Periodic { .. }, "at.first") => Some(Swept::Arrival(id)),
        (Arrivals::Reach { delay: Latency::Constant(_) }, "at.delay") => Some(Swept::Latency(id)),
        _ => None,
    }
}

/// True if `swept` has been used, when its value is `value`.
pub(super) fn is_used(simulation: &Simulation, swept: Swept, value: u64) -> bool {
    match swept {
        Swept::Latency(device) => simulation.machine().latencies_drawn(device) > 0,
        Swept::Message(device) => simulation.collector().interrupts(device) > 0,
        Swept::Arrival(_) => {
            simulation.machine().now() > simulation.epoch().unwrap_or_default() + value
        }
    }
}

/// True if one request at most uses each of `swept`, and nothing else does.
pub(super) fn serve_one_request(loaded: &Loaded, swept: &[Swept]) -> bool {
    let listed = |id: &DeviceId| match &loaded.spec.devices[id.index()] {
        DeviceSpec::Hba(hba) => hba.first_latencies.len() as u64,
        DeviceSpec::IrqSource(_) | DeviceSpec::Stall(_) => 0,
    };
    // Whichever adapters the requests go to, none draws more often than this.
    let once = |swept: &Swept| match swept {
        Swept::Latency(id) if matches!(loaded.spec.devices[id.index()], DeviceSpec::Hba(_)) => {
            loaded.requests.is_some_and(|most| most <= listed(id) + 1)
        }
        Swept::Message(_) => loaded.requests.is_some_and(|most| most <= 1),
        Swept::Latency(_) | Swept::Arrival(_) => false,
    };
    swept.iter().all(once)
}
