//! The world as instructions see it that can be replayed: memory, the clock, and their price.

use crate::core::regs::Registers;
use crate::exec::{Access, Bus, Size, Stall};

/// What stands in for the world. A refusal is [`Stall::Wait`], and nothing has changed then.
pub(super) trait Plain {
    fn load(&mut self, regs: &Registers, addr: u64, size: Size) -> Access<u64>;
    fn store(&mut self, regs: &Registers, addr: u64, size: Size, value: u64) -> Access<()>;
    fn tsc(&mut self) -> u64;
    fn charge(&mut self, cycles: u32);
}

/// Makes a [`Bus`] of it that refuses everything else: no instruction with
/// [`effects`](crate::op::effects::effects) asks for it.
pub(super) struct Only<T>(pub(super) T);

impl<T: Plain> Bus for Only<T> {
    #[inline]
    fn load(&mut self, regs: &Registers, addr: u64, size: Size) -> Access<u64> {
        self.0.load(regs, addr, size)
    }

    #[inline]
    fn load_for_write(&mut self, regs: &Registers, addr: u64, size: Size) -> Access<u64> {
        self.0.load(regs, addr, size)
    }

    #[inline]
    fn store(&mut self, regs: &Registers, addr: u64, size: Size, value: u64) -> Access<()> {
        self.0.store(regs, addr, size, value)
    }

    fn room(&mut self, _stores: usize) -> Access<()> {
        Err(Stall::Wait)
    }

    fn locked_read(&mut self, _regs: &Registers, _addr: u64, _bytes: u8) -> Access<u128> {
        Err(Stall::Wait)
    }

    fn locked_write(&mut self, _addr: u64, _bytes: u8, _value: u128) {}

    fn drain(&mut self) -> Access<()> {
        Err(Stall::Wait)
    }

    fn port_in(&mut self, _port: u16, _size: Size) -> Access<u32> {
        Err(Stall::Wait)
    }

    fn port_out(&mut self, _port: u16, _size: Size, _value: u32) -> Access<()> {
        Err(Stall::Wait)
    }

    fn rdmsr(&mut self, _regs: &Registers, _msr: u32) -> Access<u64> {
        Err(Stall::Wait)
    }

    fn wrmsr(&mut self, _regs: &Registers, _msr: u32, _value: u64) -> Access<()> {
        Err(Stall::Wait)
    }

    fn rdpmc(&mut self, _counter: u32) -> Access<u64> {
        Err(Stall::Wait)
    }

    #[inline]
    fn tsc(&mut self) -> u64 {
        self.0.tsc()
    }

    fn cpuid(&mut self, _leaf: u32, _subleaf: u32) -> [u32; 4] {
        [0; 4]
    }

    fn cr8(&mut self) -> u8 {
        0
    }

    fn set_cr8(&mut self, _value: u8) {}

    fn monitor(&mut self, _regs: &Registers, _addr: u64) -> Access<()> {
        Err(Stall::Wait)
    }

    fn flush_line(&mut self, _regs: &Registers, _addr: u64) -> Access<()> {
        Err(Stall::Wait)
    }

    fn flush_tlb(&mut self, _addr: Option<u64>) {}

    fn read_system(&mut self, _addr: u64, _size: Size) -> Access<u64> {
        Err(Stall::Wait)
    }

    #[inline]
    fn charge(&mut self, cycles: u32) {
        self.0.charge(cycles);
    }
}
