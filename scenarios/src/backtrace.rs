//! Backtraces from frame pointers, across interrupt and NMI stacks.
//!
//! The guest keeps a frame pointer in every C function, and each of its entry stubs leaves the
//! address of the saved registers plus one in RBP; so an odd frame pointer means "registers are
//! saved here". Only the innermost function, and one that an interrupt hit, may be without its
//! frame: what its code has pushed so far then tells where the return address lies.

mod frame_state;
mod stacks;

pub use stacks::{StackKind, StackRange, Stacks};

use crate::guest_memory::GuestMemory;
use crate::symbols::{Location, SymbolTable};
use frame_state::FrameState;
use serde::{Deserialize, Serialize};
use sim_x86::core::regs::{Registers, gpr};

/// One function of a backtrace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Address in it: where it stopped, or where a call in it will return to.
    pub rip: u64,
    /// The address as symbol and offset.
    pub place: Option<Location>,
    /// The stack that holds its return address or frame.
    pub stack: StackKind,
    /// True if an interrupt, NMI or exception stopped it here (or it is the innermost one): `rip`
    /// is then the next instruction, not a return address.
    pub interrupted: bool,
}

impl Frame {
    /// Name of the function, or an empty string.
    #[must_use]
    pub fn name(&self) -> &str {
        self.place.as_ref().map_or("", |place| place.name.as_str())
    }

    /// The function as the kernel prints it.
    #[must_use]
    pub fn symbol(&self) -> String {
        match &self.place {
            Some(place) => place.to_string(),
            None => format!("{:#x}", self.rip),
        }
    }
}

/// Registers that an entry stub saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedRegisters {
    /// Where they lie.
    pub at: u64,
    /// The stub that saved them.
    pub stub: String,
    /// The stack that the stub's handler ran on.
    pub stack: StackKind,
    /// General-purpose registers by encoding: RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8–R15.
    pub gpr: [u64; 16],
    /// Interrupted instruction.
    pub rip: u64,
    /// Flags.
    pub rflags: u64,
    /// Code segment; its low two bits tell the ring.
    pub cs: u64,
}

/// The functions a CPU was in, innermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backtrace {
    /// Functions, innermost first.
    pub frames: Vec<Frame>,
    /// Registers saved on the way, innermost first.
    pub saved: Vec<SavedRegisters>,
}

/// More frames than this are not walked: deeper stacks than 16 KiB do not exist in the guest.
const MAX_FRAMES: usize = 128;

/// Byte offsets in the kernel's `struct pt_regs` (kernel ABI, x86-64).
mod pt_regs {
    /// Offset of each general-purpose register by its encoding; RSP's place is [`SP`].
    pub(super) const GPR: [u64; 16] =
        [80, 88, 96, 40, SP, 32, 104, 112, 72, 64, 56, 48, 24, 16, 8, 0];
    pub(super) const IP: u64 = 128;
    pub(super) const CS: u64 = 136;
    pub(super) const FLAGS: u64 = 144;
    pub(super) const SP: u64 = 152;
}

/// Where an unwinder stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    rip: u64,
    rsp: u64,
    rbp: u64,
}

/// Walks the stack of a CPU that stopped with `regs`.
#[must_use]
pub fn unwind(
    memory: &dyn GuestMemory,
    symbols: &SymbolTable,
    stacks: &Stacks,
    regs: &Registers,
) -> Backtrace {
    let start = Cursor { rip: regs.rip, rsp: regs.gpr[gpr::RSP], rbp: regs.gpr[gpr::RBP] };
    unwind_from(memory, symbols, stacks, start)
}

/// Walks the stack of a task that gave up its CPU: it will go on at `rip` with these pointers.
#[must_use]
pub fn unwind_task(
    memory: &dyn GuestMemory,
    symbols: &SymbolTable,
    rip: u64,
    rsp: u64,
    rbp: u64,
) -> Backtrace {
    unwind_from(memory, symbols, &Stacks::default(), Cursor { rip, rsp, rbp })
}

fn unwind_from(
    memory: &dyn GuestMemory,
    symbols: &SymbolTable,
    stacks: &Stacks,
    start: Cursor,
) -> Backtrace {
    let walk = Walk { memory, symbols, stacks };
    let mut trace = Backtrace::default();
    let mut at = start;
    let mut interrupted = true;
    while trace.frames.len() < MAX_FRAMES {
        if !symbols.is_text(at.rip) {
            // User code, or a wild jump: show where it stopped, but nothing below it.
            if trace.frames.is_empty() {
                trace.frames.push(walk.frame(at.rip, at.rsp, true));
            }
            return trace;
        }
        trace.frames.push(walk.frame(at.rip, at.rsp, interrupted));
        let step = if interrupted { walk.leaf(at) } else { walk.caller(at) };
        let next = match step {
            Step::Caller(next) => next,
            Step::Saved(pointer) => {
                match walk.saved(pointer, trace.frames.last().map(Frame::name)) {
                    Some(saved) => {
                        let next = Cursor {
                            rip: saved.rip,
                            rsp: saved.gpr[gpr::RSP],
                            rbp: saved.gpr[gpr::RBP],
                        };
                        let user = saved.cs & 3 != 0;
                        trace.saved.push(saved);
                        if user {
                            return trace;
                        }
                        interrupted = true;
                        at = next;
                        continue;
                    }
                    None => return trace,
                }
            }
            Step::End => return trace,
        };
        // Stacks grow down: a caller's frame lies above, unless another stack was left.
        if next.rsp <= at.rsp && stacks.range(next.rsp) == stacks.range(at.rsp) {
            return trace;
        }
        interrupted = false;
        at = next;
    }
    trace
}

/// What lies one step outwards.
enum Step {
    /// The caller.
    Caller(Cursor),
    /// Registers saved at this address.
    Saved(u64),
    /// Nothing.
    End,
}

struct Walk<'a> {
    memory: &'a dyn GuestMemory,
    symbols: &'a SymbolTable,
    stacks: &'a Stacks,
}

impl Walk<'_> {
    fn frame(&self, rip: u64, rsp: u64, interrupted: bool) -> Frame {
        // A return address behind a call that never returns may belong to the next function.
        let looked_up = if interrupted { rip } else { rip.wrapping_sub(1) };
        let place = self.symbols.locate(looked_up).map(|mut place| {
            place.offset += rip.wrapping_sub(looked_up);
            place
        });
        Frame { rip, place, stack: self.stacks.kind(rsp), interrupted }
    }

    /// From a function that may not have set up its frame yet, or has taken it down.
    fn leaf(&self, at: Cursor) -> Step {
        let state = match self.symbols.function(at.rip) {
            Some((start, size)) => frame_state::at(self.memory, start, size, at.rip),
            None => FrameState::Framed,
        };
        if let FrameState::Bare { return_at, saved_rbp_at } = state {
            let rip = self.memory.read_u64(at.rsp.wrapping_add(return_at));
            let rbp = match saved_rbp_at {
                Some(offset) => self.memory.read_u64(at.rsp.wrapping_add(offset)),
                None => Some(at.rbp),
            };
            if let (Some(rip), Some(rbp)) = (rip, rbp)
                && self.symbols.is_text(rip)
            {
                let rsp = at.rsp.wrapping_add(return_at + 8);
                return Step::Caller(Cursor { rip, rsp, rbp });
            }
        }
        self.caller(at)
    }

    /// From a function with a frame.
    fn caller(&self, at: Cursor) -> Step {
        if at.rbp & 1 == 1 {
            return Step::Saved(at.rbp & !1);
        }
        if at.rbp & 7 != 0 || at.rbp == 0 {
            return Step::End;
        }
        let (Some(rbp), Some(rip)) =
            (self.memory.read_u64(at.rbp), self.memory.read_u64(at.rbp.wrapping_add(8)))
        else {
            return Step::End;
        };
        match self.symbols.is_text(rip) {
            true => Step::Caller(Cursor { rip, rsp: at.rbp.wrapping_add(16), rbp }),
            false => Step::End,
        }
    }

    fn saved(&self, pointer: u64, stub: Option<&str>) -> Option<SavedRegisters> {
        let read = |offset: u64| self.memory.read_u64(pointer.wrapping_add(offset));
        let mut gpr = [0; 16];
        for (slot, offset) in gpr.iter_mut().zip(pt_regs::GPR) {
            *slot = read(offset)?;
        }
        Some(SavedRegisters {
            at: pointer,
            stub: stub.unwrap_or_default().to_owned(),
            stack: self.stacks.kind(pointer),
            gpr,
            rip: read(pt_regs::IP)?,
            rflags: read(pt_regs::FLAGS)?,
            cs: read(pt_regs::CS)?,
        })
    }
}

#[cfg(test)]
mod tests;
