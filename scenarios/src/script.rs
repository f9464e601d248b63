//! Assembles scripts into guest code.
//!
//! A program of a task becomes machine code like any other: in ring 3 with `syscall`
//! instructions, in the kernel with calls of the guest kernel's functions. The simulator knows
//! nothing of scripts.

mod kernel_code;
mod user_code;

use crate::diagnostics::{Diagnostics, suggest};
use crate::image::{Segment, physical, text_symbol};
use crate::schema::{KernelOp, Program, UserOp};
use crate::symbols::{Symbol, SymbolTable};
use crate::tree::Spanned;
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, rcx};
use sim_core::Hertz;
use sim_x86::spec::{InstructionCosts, MachineSpec};
use std::collections::BTreeMap;

/// Kernel-mode scripts are placed from here on.
const KERNEL_CODE: u64 = 0xffff_ffff_a800_0000;
/// Texts of kernel-mode scripts.
const KERNEL_DATA: u64 = 0xffff_ffff_a900_0000;
/// Programs of ring 3 are placed from here on.
const USER_CODE: u64 = 0x40_0000;
/// Their constants and buffers.
const USER_DATA: u64 = 0x80_0000;

/// Bytes that grow at an address.
#[derive(Clone, Debug)]
pub(crate) struct Area {
    base: u64,
    bytes: Vec<u8>,
}

impl Area {
    pub(crate) fn new(base: u64) -> Self {
        Self { base, bytes: Vec::new() }
    }

    /// Address of the next byte with this alignment.
    fn align(&mut self, align: usize) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(align), 0);
        self.base + self.bytes.len() as u64
    }

    /// Adds bytes and says where they are.
    pub(crate) fn add(&mut self, bytes: &[u8], align: usize) -> u64 {
        let addr = self.align(align);
        self.bytes.extend_from_slice(bytes);
        addr
    }

    /// The bytes as a segment; `None` if there are none.
    pub(crate) fn segment(self) -> Option<Segment> {
        let addr = physical(self.base).filter(|_| !self.bytes.is_empty())?;
        Some(Segment { addr, bytes: self.bytes })
    }
}

/// What scripts must know of the machine and the rest of the scenario.
#[derive(Clone, Debug)]
pub(crate) struct World<'a> {
    /// The machine.
    pub(crate) spec: &'a MachineSpec,
    /// Ticks per second of the guest kernel.
    pub(crate) hz: u64,
    /// Everything that has a name in the guest's address space.
    pub(crate) symbols: &'a SymbolTable,
    /// Names of the HBAs in order of their numbers.
    pub(crate) hbas: Vec<&'a str>,
    /// Numbers of the named address spaces.
    pub(crate) mms: &'a BTreeMap<&'a str, u32>,
}

/// Scripts as they are assembled.
#[derive(Debug)]
pub(crate) struct Scripts<'a> {
    world: World<'a>,
    kernel_code: Area,
    kernel_data: Area,
    user_code: Area,
    user_data: Area,
    symbols: Vec<Symbol>,
    names: BTreeMap<String, u32>,
}

/// A script in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Assembled {
    /// First instruction.
    pub(crate) entry: u64,
}

impl<'a> Scripts<'a> {
    pub(crate) fn new(world: World<'a>) -> Self {
        Self {
            world,
            kernel_code: Area::new(KERNEL_CODE),
            kernel_data: Area::new(KERNEL_DATA),
            user_code: Area::new(USER_CODE),
            user_data: Area::new(USER_DATA),
            symbols: Vec::new(),
            names: BTreeMap::new(),
        }
    }

    /// Assembles what a task named `comm` runs; says where it starts.
    pub(crate) fn program(
        &mut self,
        comm: &str,
        program: &Program,
        diags: &mut Diagnostics,
    ) -> Option<Assembled> {
        match program {
            Program::User(ops) => self.user(comm, ops, diags),
            Program::Kernel(ops) => self.kernel(&format!("script_{comm}"), ops, false, diags),
            Program::Function(name, _) => self.function(name, diags),
        }
    }

    /// Assembles an interrupt handler, `int f(int irq, void *arg)`.
    pub(crate) fn handler(
        &mut self,
        device: &str,
        ops: &[Spanned<KernelOp>],
        diags: &mut Diagnostics,
    ) -> Option<Assembled> {
        self.kernel(&format!("handler_{device}"), ops, true, diags)
    }

    /// A function that exists already.
    pub(crate) fn function(
        &mut self,
        name: &Spanned<String>,
        diags: &mut Diagnostics,
    ) -> Option<Assembled> {
        let entry = self.world.address(name, diags)?;
        Some(Assembled { entry })
    }

    fn user(
        &mut self,
        comm: &str,
        ops: &[Spanned<UserOp>],
        diags: &mut Diagnostics,
    ) -> Option<Assembled> {
        let entry = self.user_code.align(64);
        let code = user_code::assemble(&self.world, &mut self.user_data, ops, entry, diags);
        let name = self.unique(&format!("user_{comm}"));
        let code = assembled(code, ops.first().map(|op| op.span), diags)?;
        self.user_code.add(&code, 64);
        self.symbols.push(text_symbol(name, entry, code.len() as u64));
        Some(Assembled { entry })
    }

    fn kernel(
        &mut self,
        name: &str,
        ops: &[Spanned<KernelOp>],
        handler: bool,
        diags: &mut Diagnostics,
    ) -> Option<Assembled> {
        let entry = self.kernel_code.align(64);
        let code =
            kernel_code::assemble(&self.world, &mut self.kernel_data, ops, handler, entry, diags);
        let name = self.unique(name);
        let code = assembled(code, ops.first().map(|op| op.span), diags)?;
        self.kernel_code.add(&code, 64);
        self.symbols.push(text_symbol(name, entry, code.len() as u64));
        Some(Assembled { entry })
    }

    /// A symbol's name: letters, digits and `_`, and never the same twice.
    fn unique(&mut self, name: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let name: String = name.chars().map(plain).collect();
        let count = self.names.entry(name.clone()).or_insert(0);
        *count += 1;
        if *count == 1 { name } else { format!("{name}_{count}") }
    }

    /// All code and data, and the symbols of it.
    pub(crate) fn finish(self) -> (Vec<Segment>, Vec<Symbol>) {
        let areas = [self.kernel_code, self.kernel_data, self.user_code, self.user_data];
        (areas.into_iter().filter_map(Area::segment).collect(), self.symbols)
    }
}

/// The bytes, or a note: scripts of any size assemble, but not ones beyond a branch's reach.
fn assembled(
    code: Result<Vec<u8>, IcedError>,
    span: Option<crate::tree::Span>,
    diags: &mut Diagnostics,
) -> Option<Vec<u8>> {
    match code {
        Ok(code) => Some(code),
        Err(error) => {
            let message = format!("this script cannot be assembled: {error}");
            diags.error(span.unwrap_or_default(), message, None);
            None
        }
    }
}

impl World<'_> {
    fn clock(&self) -> Hertz {
        self.spec.clock
    }

    fn address(&self, name: &Spanned<String>, diags: &mut Diagnostics) -> Option<u64> {
        address(self.symbols, name, diags)
    }
}

/// Address of a variable or symbol, `name` or `name+offset`; a note if there is none.
pub(crate) fn address(
    symbols: &SymbolTable,
    name: &Spanned<String>,
    diags: &mut Diagnostics,
) -> Option<u64> {
    let (symbol, offset) = match name.value.split_once('+') {
        Some((symbol, offset)) => (symbol.trim(), offset.trim()),
        None => (name.value.as_str(), "0"),
    };
    let digits = offset.strip_prefix("0x");
    let offset = digits.map_or_else(|| offset.parse(), |hex| u64::from_str_radix(hex, 16));
    let Ok(offset) = offset else {
        let message = format!("`{}` is not an offset in `{symbol}`", name.value);
        let help = Some("write `symbol+0x10` or `symbol+16`".to_owned());
        diags.error(name.span, message, help);
        return None;
    };
    let found = symbols.address(symbol);
    if found.is_none() {
        // Names with a dot are the compiler's own.
        let names = symbols.symbols().iter().map(|symbol| symbol.name.as_str());
        let help = suggest(symbol, names.filter(|name| !name.contains('.')));
        diags.error(name.span, format!("there is no symbol `{symbol}`"), help);
    }
    found.map(|addr| addr.wrapping_add(offset))
}

/// Computes for `cycles`: a loop of two instructions that the simulator recognises and skips.
/// It ends within one iteration of the given time.
fn compute(a: &mut CodeAssembler, costs: &InstructionCosts, cycles: u64) -> Result<(), IcedError> {
    let iteration = u64::from(costs.alu) + u64::from(costs.branch_taken);
    let count = cycles / iteration.max(1);
    if count == 0 {
        return Ok(());
    }
    a.mov(rcx, count)?;
    let mut top = a.create_label();
    a.set_label(&mut top)?;
    a.dec(rcx)?;
    a.jnz(top)
}

#[cfg(test)]
mod tests;
