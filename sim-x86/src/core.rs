//! One CPU.

pub mod msr;
pub mod regs;
