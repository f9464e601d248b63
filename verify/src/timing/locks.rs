//! Ticket locks: what a hand-off costs by the number of waiters, and what that does to a machine.

use super::Line;
use super::rig::{self, delay};
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use sim_core::Cycle;
use sim_x86::ids::PhysAddr;
use sim_x86::spec::MachineSpec;
use sim_x86::{Machine, Speed};

/// The lock: owner in the low, next ticket in the high 16 bits, as Linux 2.6.32 has it for many
/// CPUs.
const LOCK: u64 = rig::RESULT;
/// Cycles of an iteration of a delay loop, by presets: DEC and a taken branch.
fn loop_cycles(preset: &MachineSpec) -> u32 {
    preset.costs.alu + preset.costs.branch_taken
}

/// Cycles that a machine is given to come into a steady state.
const WARM: u64 = 400_000;

/// Every CPU of a set for ever: compute for up to twice `think` iterations of a delay loop, take the lock,
/// compute for `section` iterations, release it.
fn program(a: &mut CodeAssembler, cpus: u64, think: i32, section: i32) -> Result<(), IcedError> {
    let mut takes_part = a.create_label();
    a.mov(rax, cpus)?;
    a.bt(rax, rdi)?;
    a.jc(takes_part)?;
    rig::sleep(a)?;
    a.set_label(&mut takes_part)?;
    let (mut again, mut wait, mut mine) = (a.create_label(), a.create_label(), a.create_label());
    a.mov(rbx, LOCK)?;
    // Each CPU has random numbers of its own.
    a.lea(r12, qword_ptr(rdi + rdi * 2 + 1))?;
    a.mov(rax, 0x9e37_79b9_7f4a_7c15u64)?;
    a.imul_2(r12, rax)?;
    a.set_label(&mut again)?;
    if think > 0 {
        random(a)?;
        a.mov(eax, r12d)?;
        a.imul_3(rax, rax, 2 * think)?;
        a.shr(rax, 32)?;
        a.lea(rcx, qword_ptr(rax + 1))?;
        let mut thinking = a.create_label();
        a.set_label(&mut thinking)?;
        a.dec(rcx)?;
        a.jnz(thinking)?;
    }
    a.mov(eax, 0x1_0000)?;
    a.lock().xadd(dword_ptr(rbx), eax)?;
    a.movzx(edx, ax)?;
    a.shr(eax, 16)?;
    a.set_label(&mut wait)?;
    a.cmp(edx, eax)?;
    a.je(mine)?;
    a.pause()?;
    a.movzx(edx, word_ptr(rbx))?;
    a.jmp(wait)?;
    a.set_label(&mut mine)?;
    if section > 0 {
        delay(a, section)?;
    }
    a.inc(word_ptr(rbx))?;
    a.jmp(again)
}

/// Marsaglia's xorshift on R12.
fn random(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.mov(rax, r12)?;
    a.shl(rax, 13)?;
    a.xor(r12, rax)?;
    a.mov(rax, r12)?;
    a.shr(rax, 7)?;
    a.xor(r12, rax)?;
    a.mov(rax, r12)?;
    a.shl(rax, 17)?;
    a.xor(r12, rax)
}

fn served(machine: &Machine) -> u16 {
    let mut bytes = [0; 2];
    machine.read_physical(PhysAddr(LOCK), &mut bytes);
    u16::from_le_bytes(bytes)
}

/// The first `count` CPUs, as a set.
fn first(count: u32) -> u64 {
    u64::MAX >> (64 - count)
}

/// `count` CPUs that are spread evenly over the machine, as a set.
fn spread(preset: &MachineSpec, count: u32) -> u64 {
    (0..count).map(|n| 1 << (n * preset.cores / count)).sum()
}

/// Acquisitions per cycle of a set of CPUs, over `span` cycles.
fn rate(preset: &MachineSpec, cpus: u64, think: i32, section: i32, span: u64) -> f64 {
    let code = |a: &mut CodeAssembler| program(a, cpus, think, section);
    let mut machine = rig::machine(rig::spec(preset), &code, &rig::no_handler);
    machine.run(Cycle(WARM), Speed::default(), &mut ());
    // The counter has 16 bits: it is looked at before it can come round.
    let (mut total, mut last) = (0u64, served(&machine));
    let look = 500_000;
    let mut passed = 0;
    while passed < span {
        passed += look;
        machine.run(Cycle(WARM + passed), Speed::default(), &mut ());
        let now = served(&machine);
        total += u64::from(now.wrapping_sub(last));
        last = now;
    }
    total as f64 / passed as f64
}

/// Cycles from one owner to the next by the number of CPUs in the lock, owner included, with an
/// empty section.
pub(super) fn hand_off(preset: &MachineSpec) -> Vec<Line> {
    let counts = (3..=preset.cores).filter(|n| n % 2 == 1 || *n == preset.cores);
    let points = counts.map(|n| (f64::from(n), 1.0 / rate(preset, first(n), 0, 0, 500_000)));
    let name = "Ticket lock with n CPUs in it, from owner to owner";
    Line::by_package(preset, name, "per CPU", points.collect(), 0)
}

/// The ticket lock's collapse.
#[derive(Clone, Debug, PartialEq)]
pub struct Collapse {
    /// Cycles between a release and the same CPU's next attempt, on average.
    pub think: f64,
    /// Cycles of the section itself.
    pub section: f64,
    /// By CPUs in the lock: cycles from owner to owner, measured with CPUs that keep it busy.
    pub hand_off: Line,
    /// CPUs, and how many of them compute outside of the lock on average, measured.
    pub measured: Vec<(f64, f64)>,
    /// The same by the closed form.
    pub model: Vec<(f64, f64)>,
}

/// Iterations of the delay loop that is the section: 400 cycles, as in the published curves.
const SECTION_CYCLES: u32 = 400;
/// Share of the section in all that a CPU does: 2 %.
const THINK_CYCLES: u32 = SECTION_CYCLES * 50;

/// Cycles for which CPUs think that keep a lock busy.
const SHORT_THINK_CYCLES: u32 = 2_000;

impl Collapse {
    /// Measures the collapse on a machine of `preset` with each of these numbers of CPUs, spread
    /// evenly over it.
    #[must_use]
    pub fn measure(preset: &MachineSpec, cores: &[u32]) -> Self {
        let per_loop = loop_cycles(preset);
        let (think, section) =
            ((THINK_CYCLES / per_loop) as i32, (SECTION_CYCLES / per_loop) as i32);
        let hand_off = under_load(preset, section);
        // What one CPU does besides thinking: it is measured alone, without thinking.
        let alone = 1.0 / rate(preset, 1, 0, section, 500_000);
        let cycle = 1.0 / rate(preset, 1, think, section, 8_000_000);
        let pause = cycle - alone;
        let computing = |n: u32| {
            (f64::from(n), rate(preset, spread(preset, n), think, section, 4_000_000) * pause)
        };
        let most = cores.iter().copied().max().unwrap_or(1);
        let service = |k: u32| if k == 1 { alone } else { hand_off.at(f64::from(k)) };
        let model = (1..=most).map(|n| (f64::from(n), closed_form(n, pause, service)));
        Collapse {
            think: pause,
            section: alone,
            measured: cores.iter().map(|&n| computing(n)).collect(),
            model: model.collect(),
            hand_off,
        }
    }

    /// The number of CPUs beyond which more of them do less: measured, and by the closed form.
    #[must_use]
    pub fn knees(&self) -> (f64, f64) {
        (peak(&self.measured), peak(&self.model))
    }
}

/// Cycles from owner to owner by the number of CPUs in the lock, owner included. The CPUs think a
/// little: one that takes a ticket right after its own release would spare the others the second
/// loss of the line. Those that think are not in the lock (Little's law).
fn under_load(preset: &MachineSpec, section: i32) -> Line {
    let pause = SHORT_THINK_CYCLES / loop_cycles(preset);
    let thinking = f64::from(SHORT_THINK_CYCLES);
    let counts = (2..=preset.cores / 4).map(|n| 4 * n);
    let point = |n| {
        let rate = rate(preset, spread(preset, n), pause as i32, section, 1_000_000);
        (f64::from(n) - rate * thinking, 1.0 / rate)
    };
    Line::fit("Ticket lock, section included".to_owned(), "per CPU", counts.map(point).collect())
}

fn peak(curve: &[(f64, f64)]) -> f64 {
    let best = curve.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    best.map_or(0.0, |(cores, _)| cores)
}

/// Boyd-Wickizer et al., OLS 2012: a birth-death chain over the number k of CPUs in the lock.
/// Arrivals at rate (n - k)/think, departures after `service(k)`; the result is n less the mean
/// of k.
fn closed_form(n: u32, think: f64, service: impl Fn(u32) -> f64) -> f64 {
    let mut weight = 1.0;
    let (mut total, mut mean) = (1.0, 0.0);
    for k in 1..=n {
        weight *= f64::from(n - k + 1) / think * service(k);
        total += weight;
        mean += weight * f64::from(k);
    }
    f64::from(n) - mean / total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closed_form_gives_the_published_curve() {
        // Figure 9 of the paper, 400 cycles at 2 %: a peak of 7.8 at 10 CPUs, with 1000 cycles for
        // the home directory's answer.
        let service = |k: u32| 400.0 + 1_000.0 * f64::from(k) / 2.0;
        let curve: Vec<_> =
            (1..=48).map(|n| (f64::from(n), closed_form(n, 20_000.0, service))).collect();
        assert_eq!(peak(&curve), 10.0);
        assert!((curve[9].1 - 7.86).abs() < 0.05, "{:?}", curve[9]);
    }
}
