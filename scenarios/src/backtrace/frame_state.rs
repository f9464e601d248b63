//! Whether a function has its frame at a given instruction.
//!
//! Follows every path through the function's code from its entry and keeps count of what is on
//! the stack. That is exact for what compilers emit, wherever they put the prologue
//! (shrink-wrapping) and however many returns there are.

use crate::guest_memory::GuestMemory;
use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register,
};
use std::collections::BTreeMap;

/// Where the return address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameState {
    /// RBP points at the saved RBP, the return address is above it.
    Framed,
    /// The frame does not stand.
    Bare {
        /// Offset of the return address from RSP.
        return_at: u64,
        /// Offset of the caller's RBP from RSP if it has been pushed; else it is still in RBP.
        saved_rbp_at: Option<u64>,
    },
}

/// Bytes on the stack since entry, the depth at which RBP was pushed, and whether RBP is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shape {
    depth: i64,
    rbp_at: Option<i64>,
    framed: bool,
}

impl Shape {
    fn state(self) -> FrameState {
        let offset = |at: i64| u64::try_from(self.depth - at).ok();
        match (self.framed, offset(0)) {
            (false, Some(return_at)) => {
                FrameState::Bare { return_at, saved_rbp_at: self.rbp_at.and_then(offset) }
            }
            _ => FrameState::Framed,
        }
    }

    /// The shape after `instruction`; anything it does to the stack once the frame stands is
    /// irrelevant, because the frame pointer then tells.
    fn after(mut self, instruction: &Instruction) -> Self {
        match instruction.mnemonic() {
            Mnemonic::Push => {
                self.depth += 8;
                if instruction.op0_register() == Register::RBP && !self.framed {
                    self.rbp_at = Some(self.depth);
                }
            }
            Mnemonic::Pushfq => self.depth += 8,
            Mnemonic::Pop | Mnemonic::Popfq => {
                self.depth -= 8;
                if instruction.op0_register() == Register::RBP {
                    self = Shape {
                        depth: if self.framed { 0 } else { self.depth },
                        ..Self::default()
                    };
                }
            }
            Mnemonic::Leave => self = Shape::default(),
            Mnemonic::Sub | Mnemonic::Add if instruction.op0_register() == Register::RSP => {
                let bytes = match instruction.op1_kind() {
                    OpKind::Immediate8to64 | OpKind::Immediate32to64 => instruction.immediate(1),
                    _ => 0,
                };
                let bytes = bytes.cast_signed();
                self.depth += if instruction.mnemonic() == Mnemonic::Sub { bytes } else { -bytes };
            }
            Mnemonic::Mov if sets_frame_pointer(instruction) => self.framed = true,
            _ => {}
        }
        self
    }
}

fn sets_frame_pointer(instruction: &Instruction) -> bool {
    matches!(instruction.code(), Code::Mov_rm64_r64 | Code::Mov_r64_rm64)
        && instruction.op0_register() == Register::RBP
        && instruction.op1_register() == Register::RSP
}

/// Functions longer than this are not followed; their innermost frame counts as set up.
const MAX_BYTES: u64 = 64 << 10;

/// The state of the function of `size` bytes at `start` just before the instruction at `rip`.
/// An instruction that no path reaches counts as having a frame.
pub(super) fn at(memory: &dyn GuestMemory, start: u64, size: u64, rip: u64) -> FrameState {
    let mut code = vec![0; usize::try_from(size.min(MAX_BYTES)).unwrap_or(0)];
    if !memory.read(start, &mut code) {
        return FrameState::Framed;
    }
    let mut seen: BTreeMap<u64, Shape> = BTreeMap::new();
    let mut open = vec![(start, Shape::default())];
    while let Some((at, shape)) = open.pop() {
        let offset = usize::try_from(at.wrapping_sub(start)).unwrap_or(usize::MAX);
        if offset >= code.len() || seen.contains_key(&at) {
            continue;
        }
        seen.insert(at, shape);
        let mut decoder = Decoder::with_ip(64, &code[offset..], at, DecoderOptions::NONE);
        let instruction = decoder.decode();
        let after = shape.after(&instruction);
        match instruction.flow_control() {
            FlowControl::UnconditionalBranch => open.push((instruction.near_branch64(), after)),
            FlowControl::ConditionalBranch => {
                open.push((instruction.near_branch64(), after));
                open.push((instruction.next_ip(), after));
            }
            FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => {
                open.push((instruction.next_ip(), after));
            }
            FlowControl::Interrupt => open.push((instruction.next_ip(), after)),
            FlowControl::Return
            | FlowControl::IndirectBranch
            | FlowControl::Exception
            | FlowControl::XbeginXabortXend => {}
        }
    }
    seen.get(&rip).map_or(FrameState::Framed, |shape| shape.state())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest_memory::SparseMemory;

    /// `test edi,edi; je +9; push rbp; mov rbp,rsp; push rbx; nop; pop rbx; pop rbp; ret; ret`
    const SHRINK_WRAPPED: [u8; 15] =
        [0x85, 0xff, 0x74, 0x0a, 0x55, 0x48, 0x89, 0xe5, 0x53, 0x90, 0x5b, 0x5d, 0xc3, 0xcc, 0xc3];

    fn state(offset: u64) -> FrameState {
        let mut memory = SparseMemory::default();
        memory.put(0x1000, &SHRINK_WRAPPED);
        at(&memory, 0x1000, SHRINK_WRAPPED.len() as u64, 0x1000 + offset)
    }

    #[test]
    fn the_return_address_is_found_before_inside_and_after_the_frame() {
        let bare = FrameState::Bare { return_at: 0, saved_rbp_at: None };
        assert_eq!(state(0), bare);
        assert_eq!(state(4), bare, "before the push");
        assert_eq!(state(5), FrameState::Bare { return_at: 8, saved_rbp_at: Some(0) });
        assert_eq!(state(8), FrameState::Framed);
        assert_eq!(state(9), FrameState::Framed);
        assert_eq!(state(12), bare, "at the ret");
        assert_eq!(state(14), bare, "at the early ret");
    }

    #[test]
    fn unreadable_code_counts_as_framed() {
        assert_eq!(at(&SparseMemory::default(), 0, 16, 0), FrameState::Framed);
    }
}
