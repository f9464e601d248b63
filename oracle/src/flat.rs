//! A case on the instructions of `sim-x86`, with flat memory.

use crate::native::JUMP_BYTES;
use oracle_cases::{CODE, CODE_BYTES, Case, DATA, End, GS_BASE, Outcome, USER_CS, USER_SS};
use sim_x86::core::regs::Registers;
use sim_x86::exec::Exception;
use sim_x86::exec::flat::{FlatBus, FlatEnd};
use sim_x86::spec::InstructionCosts;

/// More steps than any case that ends needs: a REP instruction ends at the end of the page.
const STEPS: u32 = 20_000;
/// Pages from the code page on that the native runner has for itself.
const OWN_PAGES: u64 = 0x21;
/// TF and AC change how everything after them executes.
const AWKWARD_FLAGS: u64 = 1 << 8 | 1 << 18;

/// Runs cases, one after the other.
#[derive(Debug)]
pub struct Flat {
    bus: FlatBus,
    costs: InstructionCosts,
}

/// A 64-bit process' registers as the case wants them.
#[must_use]
pub fn registers(case: &Case) -> Registers {
    let mut regs = Registers {
        gpr: case.gpr,
        rip: case.start,
        rflags: case.rflags,
        gs_base: GS_BASE,
        ..Registers::default()
    };
    regs.sel.cs = USER_CS;
    regs.sel.ss = USER_SS;
    regs.sys.cr0 = 0x8005_0033;
    regs.sys.cr4 = 0x6f8;
    regs.sys.efer = 0xd01;
    regs
}

/// Vector, error code and, for a page fault, address.
#[must_use]
pub fn fault(exception: Exception) -> End {
    let (vector, error) = exception.vector();
    let address = if let Exception::PageFault { addr, .. } = exception { addr } else { 0 };
    End::Fault { vector, error: error.unwrap_or(0), address }
}

impl Flat {
    /// With the costs of a preset, which do not matter.
    #[must_use]
    pub fn new(costs: InstructionCosts) -> Self {
        Flat { bus: FlatBus::new(DATA, 0), costs }
    }

    /// What becomes of `case`; `None` if it leaves what cases are about: it touches the code page
    /// or what the oracle keeps behind it, does not end, splits a lock, sets TF or AC, or jumps into
    /// the middle of the jump that the native runner puts behind its end.
    pub fn run(&mut self, case: &Case) -> Option<Outcome> {
        self.bus.memory.clear();
        self.bus.memory.extend_from_slice(&case.memory);
        self.bus.split_locked = 0;
        let mut regs = registers(case);
        let end = match self.bus.run(&mut regs, case.start, &case.code, &self.costs, STEPS) {
            FlatEnd::Left => End::Ran,
            FlatEnd::Fault(exception) => fault(exception),
            FlatEnd::Interrupt(vector) => End::Fault { vector, error: 0, address: 0 },
            FlatEnd::Halted | FlatEnd::Stopped | FlatEnd::Exhausted => return None,
        };
        let behind = regs.rip.wrapping_sub(case.end());
        if end == End::Ran && (1..JUMP_BYTES as u64).contains(&behind) {
            return None;
        }
        if self.bus.split_locked != 0 || regs.rflags & AWKWARD_FLAGS != 0 {
            return None;
        }
        if let End::Fault { address, .. } = end
            && (CODE - 16..CODE + OWN_PAGES * CODE_BYTES as u64).contains(&address)
        {
            return None;
        }
        let mut outcome = Outcome {
            end,
            rip: regs.rip,
            gpr: regs.gpr,
            rflags: regs.rflags,
            memory: self.bus.memory.clone(),
        };
        outcome.mask(case);
        Some(outcome)
    }
}
