//! A world of flat memory: the smallest [`Bus`], for tests and for comparison with real hardware.

use super::{Access, Bus, Exception, Flow, Size, Stall, execute};
use crate::core::regs::Registers;
use crate::ids::LINE_BYTES;
use crate::op::{Decoded, MAX_INSTRUCTION_BYTES, Op};
use crate::spec::InstructionCosts;
use std::collections::BTreeMap;

/// One block of memory and recorded effects; everything answers at once and nothing is timed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlatBus {
    /// Linear address of the first byte of memory; everything outside is not present (#PF).
    pub base: u64,
    /// The memory.
    pub memory: Vec<u8>,
    /// Model-specific registers; others are #GP.
    pub msrs: BTreeMap<u32, u64>,
    /// What OUT wrote, in order.
    pub outputs: Vec<(u16, Size, u32)>,
    /// What IN reads next, from the front; then all ones.
    pub inputs: Vec<u32>,
    /// Cycles charged.
    pub charged: u64,
    /// Locked operations done.
    pub locked: u64,
    /// Locked operations that reached over the end of a line.
    pub split_locked: u64,
    /// Requests to drain the store buffer.
    pub drained: u64,
    /// Time-stamp counter.
    pub tsc: u64,
    /// Task priority.
    pub cr8: u8,
    /// Address armed by MONITOR.
    pub monitored: Option<u64>,
    /// Addresses given to CLFLUSH.
    pub flushed: Vec<u64>,
    /// TLB flushes.
    pub tlb: Vec<Option<u64>>,
    /// Requests that succeed before one answers [`Stall::Wait`]; `None`: none does.
    pub patience: Option<u32>,
}

/// How [`FlatBus::run`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlatEnd {
    /// RIP is no longer in the code.
    Left,
    /// The instruction at RIP raised this.
    Fault(Exception),
    /// INT n, INT1 or INT3; RIP is past it.
    Interrupt(u8),
    /// HLT or MWAIT; RIP is past it.
    Halted,
    /// The instruction at RIP must wait, is not implemented, or reaches over the end of the code.
    Stopped,
    /// As many steps were made as allowed; an iteration of a string instruction is one.
    Exhausted,
}

impl FlatBus {
    /// Executes `code`, which lies at `start`, from RIP on until control leaves it.
    pub fn run(
        &mut self,
        regs: &mut Registers,
        start: u64,
        code: &[u8],
        costs: &InstructionCosts,
        steps: u32,
    ) -> FlatEnd {
        let mut decoded: Option<(u64, Op)> = None;
        for _ in 0..steps {
            let rip = regs.rip;
            let op = match decoded.filter(|&(at, _)| at == rip) {
                Some((_, op)) => op,
                None => {
                    let at = usize::try_from(rip.wrapping_sub(start)).unwrap_or(usize::MAX);
                    let Some(rest) = code.get(at..).filter(|rest| !rest.is_empty()) else {
                        return FlatEnd::Left;
                    };
                    let rest = &rest[..rest.len().min(MAX_INSTRUCTION_BYTES)];
                    let Decoded::Op(op) = Op::decode(rest, rip, costs) else {
                        return FlatEnd::Stopped;
                    };
                    decoded = Some((rip, op));
                    op
                }
            };
            match execute(regs, self, &op) {
                Ok(
                    Flow::Next
                    | Flow::Taken
                    | Flow::Ring
                    | Flow::Flags
                    | Flow::Repeat
                    | Flow::Shadow { .. }
                    | Flow::Iret,
                ) => {}
                Ok(Flow::Halt | Flow::Mwait) => return FlatEnd::Halted,
                Ok(Flow::DebugTrap) => return FlatEnd::Interrupt(1),
                Ok(Flow::Interrupt(vector)) => return FlatEnd::Interrupt(vector),
                Err(Stall::Fault(exception)) => return FlatEnd::Fault(exception),
                Err(Stall::Wait | Stall::Unimplemented) => return FlatEnd::Stopped,
            }
        }
        FlatEnd::Exhausted
    }

    /// `bytes` of zeroed memory at `base`.
    #[must_use]
    pub fn new(base: u64, bytes: usize) -> Self {
        Self { base, memory: vec![0; bytes], ..Self::default() }
    }

    /// Counts a request that may have to wait.
    fn ask(&mut self) -> Access<()> {
        match &mut self.patience {
            Some(0) => Err(Stall::Wait),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Memory at `addr`, or the page fault that an access there raises.
    fn slice(
        &mut self,
        regs: &Registers,
        addr: u64,
        bytes: usize,
        write: bool,
    ) -> Access<&mut [u8]> {
        let last = addr.wrapping_add(bytes as u64 - 1);
        if !super::operand::canonical(addr) || !super::operand::canonical(last) {
            return Err(super::operand::GP0);
        }
        let start = usize::try_from(addr.wrapping_sub(self.base)).unwrap_or(usize::MAX);
        let end = start.saturating_add(bytes);
        let user = if regs.cpl() == 3 { 4 } else { 0 };
        let code = u16::from(write) << 1 | user;
        // Of an access that begins in memory, the first byte that does not lie there.
        let addr =
            if start < self.memory.len() { self.base + self.memory.len() as u64 } else { addr };
        let fault = Stall::Fault(Exception::PageFault { addr, code });
        self.memory.get_mut(start..end).ok_or(fault)
    }

    fn read(&mut self, regs: &Registers, addr: u64, bytes: usize, write: bool) -> Access<u128> {
        let mut value = [0; 16];
        value[..bytes].copy_from_slice(self.slice(regs, addr, bytes, write)?);
        Ok(u128::from_le_bytes(value))
    }

    fn write(&mut self, regs: &Registers, addr: u64, bytes: usize, value: u128) -> Access<()> {
        let slice = self.slice(regs, addr, bytes, true)?;
        slice.copy_from_slice(&value.to_le_bytes()[..bytes]);
        Ok(())
    }
}

impl Bus for FlatBus {
    fn load(&mut self, regs: &Registers, addr: u64, size: Size) -> Access<u64> {
        self.ask()?;
        self.read(regs, addr, size as usize, false).map(|value| value as u64)
    }

    fn load_for_write(&mut self, regs: &Registers, addr: u64, size: Size) -> Access<u64> {
        self.ask()?;
        self.read(regs, addr, size as usize, true).map(|value| value as u64)
    }

    fn store(&mut self, regs: &Registers, addr: u64, size: Size, value: u64) -> Access<()> {
        self.ask()?;
        self.write(regs, addr, size as usize, value.into())
    }

    fn room(&mut self, _stores: usize) -> Access<()> {
        self.ask()?;
        // What was promised cannot stall any more.
        self.patience = None;
        Ok(())
    }

    fn locked_read(&mut self, regs: &Registers, addr: u64, bytes: u8) -> Access<u128> {
        self.ask()?;
        self.locked += 1;
        self.split_locked += u64::from(addr % LINE_BYTES + u64::from(bytes) > LINE_BYTES);
        self.read(regs, addr, bytes.into(), true)
    }

    fn locked_write(&mut self, addr: u64, bytes: u8, value: u128) {
        let done = self.write(&Registers::default(), addr, bytes.into(), value);
        assert!(done.is_ok(), "a locked write follows a locked read of the same bytes");
    }

    fn drain(&mut self) -> Access<()> {
        self.ask()?;
        self.drained += 1;
        Ok(())
    }

    fn port_in(&mut self, _port: u16, _size: Size) -> Access<u32> {
        self.ask()?;
        Ok(if self.inputs.is_empty() { u32::MAX } else { self.inputs.remove(0) })
    }

    fn port_out(&mut self, port: u16, size: Size, value: u32) -> Access<()> {
        self.ask()?;
        self.outputs.push((port, size, value));
        Ok(())
    }

    fn rdmsr(&mut self, _regs: &Registers, msr: u32) -> Access<u64> {
        self.msrs.get(&msr).copied().ok_or(super::operand::GP0)
    }

    fn wrmsr(&mut self, _regs: &Registers, msr: u32, value: u64) -> Access<()> {
        let slot = self.msrs.get_mut(&msr).ok_or(super::operand::GP0)?;
        *slot = value;
        Ok(())
    }

    fn rdpmc(&mut self, counter: u32) -> Access<u64> {
        Ok(counter.into())
    }

    fn tsc(&mut self) -> u64 {
        self.tsc
    }

    fn cpuid(&mut self, leaf: u32, subleaf: u32) -> [u32; 4] {
        [leaf, subleaf, !leaf, !subleaf]
    }

    fn cr8(&mut self) -> u8 {
        self.cr8
    }

    fn set_cr8(&mut self, value: u8) {
        self.cr8 = value;
    }

    fn monitor(&mut self, _regs: &Registers, addr: u64) -> Access<()> {
        self.ask()?;
        self.monitored = Some(addr);
        Ok(())
    }

    fn flush_line(&mut self, regs: &Registers, addr: u64) -> Access<()> {
        self.ask()?;
        self.slice(regs, addr, 1, false)?;
        self.flushed.push(addr);
        Ok(())
    }

    fn flush_tlb(&mut self, addr: Option<u64>) {
        self.tlb.push(addr);
    }

    fn read_system(&mut self, addr: u64, size: Size) -> Access<u64> {
        self.ask()?;
        self.read(&Registers::default(), addr, size as usize, false).map(|value| value as u64)
    }

    fn charge(&mut self, cycles: u32) {
        self.charged += u64::from(cycles);
    }
}
