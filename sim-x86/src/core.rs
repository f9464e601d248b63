//! One CPU.

pub mod regs;
