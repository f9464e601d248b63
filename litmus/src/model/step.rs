//! Configurations and the steps between them.

use super::{ModelError, initial};
use crate::program::{Instruction, Op, Operand, Place, RAX, RBX, RCX, RDX, REGISTERS, Size, Test};

/// Bytes set apart for each location.
pub(super) const STRIDE: usize = 16;
/// Bytes of a cache line.
const LINE: u64 = 64;

/// A buffered store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Store {
    first: u16,
    bytes: u8,
    value: u64,
}

/// A load across a line of which one part is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Half {
    high: bool,
    value: u64,
}

/// One thread.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Thread {
    pc: u16,
    zf: bool,
    cf: bool,
    half: Option<Half>,
    pub(super) regs: [u64; REGISTERS],
    buffer: Vec<Store>,
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Config {
    pub(super) memory: Vec<u8>,
    pub(super) threads: Vec<Thread>,
}

/// The little-endian number of `bytes` bytes at `first`.
pub(super) fn read(memory: &[u8], first: usize, bytes: usize) -> u64 {
    let mut word = [0; 8];
    word[..bytes].copy_from_slice(&memory[first..first + bytes]);
    u64::from_le_bytes(word)
}

fn write(memory: &mut [u8], first: usize, bytes: usize, value: u64) {
    memory[first..first + bytes].copy_from_slice(&value.to_le_bytes()[..bytes]);
}

impl Config {
    pub(super) fn start(test: &Test, code: &Code<'_>) -> Self {
        let mut memory = vec![0; test.locations.len() * STRIDE];
        for (i, location) in test.locations.iter().enumerate() {
            write(&mut memory, i * STRIDE, 8, location.init);
        }
        let thread = |number| Thread {
            pc: 0,
            zf: false,
            cf: false,
            half: None,
            regs: initial(test, number),
            buffer: Vec::new(),
        };
        let mut config = Config { memory, threads: (0..test.threads.len()).map(thread).collect() };
        code.settle(&mut config);
        config
    }
}

/// A part of memory that one access touches: first byte and length.
type Part = (usize, usize);

/// The program, and where lines end in it.
pub(super) struct Code<'a> {
    threads: Vec<&'a [Instruction]>,
    /// By location: its first byte that lies in another line than its byte 0.
    splits: Vec<Option<u64>>,
}

impl<'a> Code<'a> {
    pub(super) fn new(test: &'a Test) -> Result<Self, ModelError> {
        let split = |location: &crate::program::Location| {
            location.at.map(|at| LINE - at).filter(|&split| split < location.bytes)
        };
        let code = Code {
            threads: test.threads.iter().map(|thread| thread.code.as_slice()).collect(),
            splits: test.locations.iter().map(split).collect(),
        };
        for (thread, instructions) in code.threads.iter().enumerate() {
            let update = |instruction: &&Instruction| {
                let Some(place) = instruction.place() else { return false };
                !instruction.locked
                    && instruction.op != Op::Mov
                    && instruction.op.writes()
                    && code.parts(place, instruction.size).1.is_some()
            };
            if instructions.iter().any(|instruction| update(&instruction)) {
                return Err(ModelError::SplitUpdate { thread });
            }
        }
        Ok(code)
    }

    /// The one or two parts of an access.
    fn parts(&self, place: Place, size: Size) -> (Part, Option<Part>) {
        let first = place.location * STRIDE + place.offset as usize;
        let bytes = size.bytes() as usize;
        let cut = self.splits[place.location].and_then(|split| {
            let low = split.checked_sub(place.offset)? as usize;
            (low > 0 && low < bytes).then_some(low)
        });
        match cut {
            Some(low) => ((first, low), Some((first + low, bytes - low))),
            None => ((first, bytes), None),
        }
    }

    /// Takes every step that neither sees nor changes anything that others see: the order of such
    /// steps and others' makes no difference.
    pub(super) fn settle(&self, config: &mut Config) {
        for (number, thread) in config.threads.iter_mut().enumerate() {
            // Every turn of a loop without loads would be the same: it is left after a while.
            for _ in 0..=self.threads[number].len() {
                if !self.local_step(number, thread) {
                    break;
                }
            }
        }
    }

    fn local_step(&self, number: usize, thread: &mut Thread) -> bool {
        let Some(instruction) = self.threads[number].get(usize::from(thread.pc)) else {
            return false;
        };
        match (instruction.op, instruction.place()) {
            (Op::Mfence, _) => {
                if !thread.buffer.is_empty() {
                    return false;
                }
            }
            (Op::Mov, Some(place)) if matches!(instruction.dst, Some(Operand::Mem(_))) => {
                let value = thread.operand(instruction.src, instruction.size);
                let (low, None) = self.parts(place, instruction.size) else { return false };
                thread.push(low, value);
            }
            (_, Some(_)) => return false,
            (_, None) => {
                thread.execute(instruction, 0);
                return true;
            }
        }
        thread.pc += 1;
        true
    }

    /// Every configuration one step away (further local steps included).
    pub(super) fn steps(&self, config: &Config, next: &mut Vec<Config>) {
        for (number, thread) in config.threads.iter().enumerate() {
            if let Some(&store) = thread.buffer.first() {
                let mut after = config.clone();
                after.threads[number].buffer.remove(0);
                let (first, bytes) = (usize::from(store.first), usize::from(store.bytes));
                write(&mut after.memory, first, bytes, store.value);
                next.push(after);
            }
            let Some(instruction) = self.threads[number].get(usize::from(thread.pc)) else {
                continue;
            };
            match instruction.place() {
                Some(_) if instruction.locked => locked_step(config, number, instruction, next),
                Some(place) => self.access_step(config, number, instruction, place, next),
                // MFENCE waits; a loop of local steps goes on.
                None if instruction.op == Op::Mfence => {}
                None => {
                    let mut after = config.clone();
                    after.threads[number].execute(instruction, 0);
                    next.push(after);
                }
            }
        }
        for config in next {
            self.settle(config);
        }
    }

    /// A plain load, store or read-modify-write.
    fn access_step(
        &self,
        config: &Config,
        number: usize,
        instruction: &Instruction,
        place: Place,
        next: &mut Vec<Config>,
    ) {
        let thread = &config.threads[number];
        let (low, high) = self.parts(place, instruction.size);
        let stores = matches!(instruction.dst, Some(Operand::Mem(_))) && instruction.op == Op::Mov;
        match (high, stores) {
            (Some(high), true) => {
                let value = thread.operand(instruction.src, instruction.size);
                let parts = [(low, value), (high, value >> (low.1 * 8))];
                for order in [[0, 1], [1, 0]] {
                    let mut after = config.clone();
                    let thread = &mut after.threads[number];
                    order.into_iter().for_each(|i| thread.push(parts[i].0, parts[i].1));
                    thread.pc += 1;
                    next.push(after);
                }
            }
            (Some(high), false) => split_load(config, number, instruction, (low, high), next),
            (None, _) => {
                let Some(old) = thread.load(&config.memory, low) else { return };
                let mut after = config.clone();
                let thread = &mut after.threads[number];
                if let Some(new) = thread.execute(instruction, old) {
                    thread.push(low, new);
                }
                next.push(after);
            }
        }
    }
}

/// One part of a load across a line, or the other and the rest of the instruction.
fn split_load(
    config: &Config,
    number: usize,
    instruction: &Instruction,
    (low, high): (Part, Part),
    next: &mut Vec<Config>,
) {
    let thread = &config.threads[number];
    let halves = match thread.half {
        None => vec![true, false],
        Some(half) => vec![!half.high],
    };
    for is_high in halves {
        let part = if is_high { high } else { low };
        let Some(value) = thread.load(&config.memory, part) else { continue };
        let mut after = config.clone();
        let thread = &mut after.threads[number];
        match thread.half.take() {
            None => thread.half = Some(Half { high: is_high, value }),
            Some(other) => {
                let (low_value, high_value) =
                    if is_high { (other.value, value) } else { (value, other.value) };
                thread.execute(instruction, low_value | high_value << (low.1 * 8));
            }
        }
        next.push(after);
    }
}

fn locked_step(config: &Config, number: usize, instruction: &Instruction, next: &mut Vec<Config>) {
    if !config.threads[number].buffer.is_empty() {
        return;
    }
    let Some(place) = instruction.place() else { return };
    let first = place.location * STRIDE + place.offset as usize;
    let mut after = config.clone();
    let Config { memory, threads } = &mut after;
    let thread = &mut threads[number];
    if instruction.op == Op::CmpxchgPair {
        thread.compare_pair(memory, first, instruction.size);
    } else {
        let bytes = instruction.size.bytes() as usize;
        let old = read(memory, first, bytes);
        if let Some(new) = thread.execute(instruction, old) {
            write(memory, first, bytes, new);
        }
    }
    next.push(after);
}

impl Thread {
    fn push(&mut self, (first, bytes): Part, value: u64) {
        let value = if bytes == 8 { value } else { value & ((1 << (bytes * 8)) - 1) };
        self.buffer.push(Store { first: first as u16, bytes: bytes as u8, value });
    }

    /// What a load sees; `None` if it has to wait for a store that covers it only in part.
    fn load(&self, memory: &[u8], (first, bytes): Part) -> Option<u64> {
        for store in self.buffer.iter().rev() {
            let (start, end) =
                (usize::from(store.first), usize::from(store.first) + usize::from(store.bytes));
            if first >= end || first + bytes <= start {
                continue;
            }
            if first < start || first + bytes > end {
                return None;
            }
            let value = store.value >> ((first - start) * 8);
            return Some(if bytes == 8 { value } else { value & ((1 << (bytes * 8)) - 1) });
        }
        Some(read(memory, first, bytes))
    }

    fn operand(&self, operand: Option<Operand>, size: Size) -> u64 {
        match operand {
            Some(Operand::Reg(reg)) => size.truncate(self.regs[usize::from(reg.0)]),
            Some(Operand::Imm(value)) => size.truncate(value as u64),
            Some(Operand::Mem(_)) | None => 0,
        }
    }

    /// Writes a register: 4 bytes clear the upper half, fewer leave the rest (SDM vol. 1 §3.4.1.1).
    fn set(&mut self, reg: usize, size: Size, value: u64) {
        let old = self.regs[reg];
        self.regs[reg] = match size {
            Size::B4 => value & 0xffff_ffff,
            Size::B8 | Size::B16 => value,
            Size::B1 | Size::B2 => old & !size.truncate(u64::MAX) | size.truncate(value),
        };
    }

    /// Executes an instruction whose memory operand, if any, holds `memory`. Returns what it
    /// stores there.
    fn execute(&mut self, instruction: &Instruction, memory: u64) -> Option<u64> {
        let Instruction { op, size, dst, src, target, .. } = *instruction;
        self.pc += 1;
        let value = |thread: &Thread, operand| match operand {
            Some(Operand::Mem(_)) => memory,
            other => thread.operand(other, size),
        };
        let (old, source) = (value(self, dst), value(self, src));
        let jumps = match op {
            Op::Jmp | Op::Ret => true,
            Op::Je => self.zf,
            Op::Jne => !self.zf,
            Op::Jc => self.cf,
            Op::Jnc => !self.cf,
            _ => false,
        };
        if let (true, Some(target)) = (jumps, target) {
            self.pc = target as u16;
        }
        let new = size.truncate(self.result(op, size, old, source)?);
        if matches!(op, Op::Xchg | Op::Xadd)
            && let Some(Operand::Reg(reg)) = src
        {
            self.set(usize::from(reg.0), size, old);
        }
        match dst {
            Some(Operand::Mem(_)) => Some(new),
            Some(Operand::Reg(reg)) => {
                self.set(usize::from(reg.0), size, new);
                None
            }
            Some(Operand::Imm(_)) | None => None,
        }
    }

    /// The new value of the destination, if it gets one; sets the flags that jumps look at.
    fn result(&mut self, op: Op, size: Size, old: u64, source: u64) -> Option<u64> {
        let result = match op {
            Op::Mov | Op::Xchg => return Some(source),
            Op::Not => return Some(!old),
            Op::Xadd | Op::Add => old.wrapping_add(source),
            Op::Sub | Op::Cmp => old.wrapping_sub(source),
            Op::And | Op::Test => old & source,
            Op::Or => old | source,
            Op::Xor => old ^ source,
            Op::Inc => old.wrapping_add(1),
            Op::Dec => old.wrapping_sub(1),
            Op::Neg => old.wrapping_neg(),
            Op::Bts => old | 1 << source,
            Op::Btr => old & !(1 << source),
            Op::Btc => old ^ 1 << source,
            Op::Cmpxchg => return Some(self.compare_exchange(size, old, source)),
            _ => return None,
        };
        let result = size.truncate(result);
        match op {
            Op::Bts | Op::Btr | Op::Btc => self.cf = old >> source & 1 != 0,
            Op::Inc | Op::Dec => self.zf = result == 0,
            _ => {
                self.zf = result == 0;
                self.cf = match op {
                    Op::Add | Op::Xadd => result < old,
                    Op::Sub | Op::Cmp => old < source,
                    Op::Neg => old != 0,
                    _ => false,
                };
            }
        }
        op.writes().then_some(result)
    }

    fn compare_exchange(&mut self, size: Size, old: u64, source: u64) -> u64 {
        let wanted = size.truncate(self.regs[usize::from(RAX.0)]);
        self.zf = wanted == old;
        self.cf = wanted < old;
        if self.zf {
            return source;
        }
        self.set(usize::from(RAX.0), size, old);
        old
    }

    /// CMPXCHG8B and CMPXCHG16B: RDX:RAX is compared, RCX:RBX stored.
    fn compare_pair(&mut self, memory: &mut [u8], first: usize, size: Size) {
        self.pc += 1;
        let half = if size == Size::B16 { Size::B8 } else { Size::B4 };
        let bytes = half.bytes() as usize;
        let old = [read(memory, first, bytes), read(memory, first + bytes, bytes)];
        let reg = |thread: &Thread, reg: crate::program::Reg| {
            half.truncate(thread.regs[usize::from(reg.0)])
        };
        self.zf = old == [reg(self, RAX), reg(self, RDX)];
        if self.zf {
            write(memory, first, bytes, reg(self, RBX));
            write(memory, first + bytes, bytes, reg(self, RCX));
        } else {
            self.set(usize::from(RAX.0), half, old[0]);
            self.set(usize::from(RDX.0), half, old[1]);
        }
    }
}
