//! An image on latchup.

use crate::image::{Image, at};
use sim_core::Cycle;
use sim_x86::ids::{CoreId, PhysAddr};
use sim_x86::presets::westmere_ep;
use sim_x86::spec::Translation;
use sim_x86::{Machine, Speed, Start, Stop};

/// Longer than any image takes.
const CYCLES: u64 = 400_000_000;

/// Runs `image` to its end: memory from [`at::LOG`] to [`at::END`].
///
/// # Errors
/// How the machine stopped, if the image does not end as it should.
///
/// # Panics
/// The preset is not valid.
pub fn run(image: &Image) -> Result<Vec<u8>, Stop> {
    let mut spec = westmere_ep();
    spec.cores = image.cpus as u32;
    spec.translation = Translation::Identity;
    spec.x2apic = true;
    let mut machine = Machine::new(spec).expect("the preset is valid");
    for (addr, bytes) in &image.parts {
        machine.write_physical(PhysAddr(*addr), bytes);
    }
    for cpu in 0..image.cpus as u64 {
        let rsp = at::STACKS[0] + 0x1_0000 * cpu;
        machine.start_core(CoreId(cpu as u16), Start { rip: at::CODE, rdi: cpu, rsp });
    }
    for _ in 0..image.cpus {
        match machine.run(Cycle(CYCLES), Speed::default(), &mut ()) {
            Stop::Exit { .. } => {}
            other => return Err(other),
        }
    }
    let mut region = vec![0; (at::END - at::LOG) as usize];
    machine.read_physical(PhysAddr(at::LOG), &mut region);
    Ok(region)
}
