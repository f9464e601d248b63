//! From a recording to a [`Stretch`]: what follows from values that are always the same is worked
//! out here, once; what is left are the instructions whose operands vary.
//!
//! A value is *fixed* if it is that of the recording in every replay: an immediate, a word or a
//! register that the stretch compares before anything else, or the result of an instruction with
//! fixed operands only. All others stand in *slots*: registers and words that are known to vary,
//! the clock, and what is computed from them. Copies move no values, only names.

use super::Varying;
use super::by_page::ByPage;
use super::draft::{Draft, FLAGS, Slots, Value, Variable, without_unused};
use super::record::{ApicWrite, Executed, MemoryAccess, Recording, Values};
use super::stretch::{ApicStore, Frame, Place, Program, REGISTERS, Stretch};
use crate::core::regs::gpr;
use crate::exec::Size;
use crate::exec::pure::{self, Operand, Pure};
use crate::op::effects::{Effects, RegisterSet, bit};
use crate::op::{Form, Kind, flag, reg};

/// Why a recording cannot be compiled.
enum Obstacle {
    /// The start value of this register has to be fixed: begin again.
    Fix(usize),
    /// There is no rule for something.
    Unknown,
}

/// A store of the stretch, or a word that it has loaded.
struct Cell {
    access: MemoryAccess,
    value: Value,
}

struct Compiler<'a> {
    varying: &'a Varying,
    /// Registers whose start value is compared.
    fixed: RegisterSet,
    words: Vec<(Place, u64)>,
    drafts: Vec<Draft>,
    /// Values of the registers as the program has them, and as the replayed instructions find them.
    named: [Value; 16],
    placed: [Value; 16],
    flags_named: Value,
    flags_placed: Value,
    loaded: Vec<Cell>,
    stored: Vec<Cell>,
    apic: Vec<(ApicStore, Value)>,
    /// Variables that are compared with the value of the recording.
    expected: Vec<(Variable, u64)>,
    variables: Variable,
    charged: u32,
}

/// Compiles a recording, with what is known to vary. `None` if it has something without a rule.
pub(super) fn compile(recording: &Recording, varying: &Varying) -> Option<Stretch> {
    let mut fixed = 0;
    loop {
        match Compiler::new(recording, varying, fixed).run(recording) {
            Ok(stretch) => return Some(stretch),
            Err(Obstacle::Fix(register)) => fixed |= bit(register),
            Err(Obstacle::Unknown) => return None,
        }
    }
}

impl<'a> Compiler<'a> {
    fn new(recording: &Recording, varying: &'a Varying, fixed: RegisterSet) -> Self {
        let at_start = |register: usize| match fixed & bit(register) {
            0 => Value::Varies(register as Variable),
            _ => Value::Fixed(recording.start.gpr[register]),
        };
        Compiler {
            varying,
            fixed,
            words: Vec::new(),
            drafts: Vec::new(),
            named: std::array::from_fn(at_start),
            placed: std::array::from_fn(at_start),
            flags_named: Value::Varies(FLAGS),
            flags_placed: Value::Varies(FLAGS),
            loaded: Vec::new(),
            stored: Vec::new(),
            apic: Vec::new(),
            expected: Vec::new(),
            variables: FLAGS + 1,
            charged: 0,
        }
    }

    fn run(mut self, recording: &Recording) -> Result<Stretch, Obstacle> {
        for (index, step) in recording.executed.iter().enumerate() {
            self.instruction(index, step)?;
        }
        let end = recording.executed.last().ok_or(Obstacle::Unknown)?.after;
        self.place_flags(end.status())?;
        self.finish(recording, &end)
    }

    fn instruction(&mut self, index: usize, step: &Executed) -> Result<(), Obstacle> {
        let Effects { reads, address, steers, .. } = step.effects;
        for register in registers(address) {
            self.fix(register, step.before.gpr[register])?;
        }
        if let Some(write) = step.apic {
            self.apic_store(index, step, write);
            return Ok(());
        }
        let loaded = step.load.map(|load| self.load(load)).transpose()?;
        if let Some(value) = self.copied(step, loaded) {
            self.copy(step, value);
            return Ok(());
        }
        if steers && step.op.kind != Kind::Jcc {
            registers(reads)
                .try_for_each(|register| self.fix(register, step.before.gpr[register]))?;
            if let (Some(Value::Varies(variable)), Some(load)) = (loaded, step.load) {
                self.expect(variable, load.value);
            }
            self.known(step);
            return Ok(());
        }
        for register in registers(reads) {
            self.may_vary(self.named[register])?;
        }
        let moves = |value: Value| matches!(value, Value::Varies(_));
        let varies = step.effects.reads_clock
            || loaded.is_some_and(moves)
            || registers(reads).any(|register| moves(self.named[register]))
            || (step.effects.reads_flags && moves(self.flags_named));
        if varies {
            self.replay(step, loaded)?;
        } else {
            self.known(step);
        }
        Ok(())
    }

    /// A store to the local APIC: the value of a register, or an immediate.
    fn apic_store(&mut self, index: usize, step: &Executed, write: ApicWrite) {
        let value = match step.op.form {
            Form::MemReg => self.named[usize::from(step.op.src & 15)],
            _ => Value::Fixed(write.value.into()),
        };
        let store = ApicStore {
            offset: write.offset,
            at: step.at as u32,
            index: index as u32,
            rip: step.rip,
            value: 0,
        };
        self.apic.push((store, value));
    }

    /// The value that an instruction only moves from one place to another.
    fn copied(&self, step: &Executed, loaded: Option<Value>) -> Option<Value> {
        let op = &step.op;
        let whole = op.size == Size::B8;
        match (op.kind, op.form) {
            (Kind::Mov, Form::RegReg) if whole => Some(self.named[usize::from(op.src & 15)]),
            (Kind::Mov, Form::RegMem) if op.size >= Size::B4 => loaded,
            (Kind::Mov, Form::MemReg) if op.src & reg::HIGH_BYTE == 0 => {
                Some(self.named[usize::from(op.src & 15)])
            }
            (Kind::Push, Form::Reg) if whole => Some(self.named[usize::from(op.dst & 15)]),
            (Kind::Push, Form::Mem) if whole => loaded,
            (Kind::Pop, Form::Reg) if whole => loaded,
            (Kind::Leave, _) if whole => loaded,
            _ => None,
        }
    }

    fn copy(&mut self, step: &Executed, value: Value) {
        let op = &step.op;
        let target = match (op.kind, op.form) {
            (Kind::Mov, Form::RegReg | Form::RegMem) | (Kind::Pop, _) => usize::from(op.dst & 15),
            (Kind::Leave, _) => gpr::RBP,
            _ => gpr::RSP,
        };
        // The stack pointer was compared.
        for register in registers(step.effects.writes) {
            self.named[register] = Value::Fixed(step.after.gpr[register]);
        }
        if let Some(access) = step.store {
            let value = match value {
                Value::Fixed(_) => Value::Fixed(access.value),
                Value::Varies(_) => self.low_part(value, access.size),
            };
            self.stored.push(Cell { access, value });
        } else {
            self.named[target] = match value {
                Value::Fixed(_) => Value::Fixed(step.after.gpr[target]),
                Value::Varies(_) => value,
            };
        }
    }

    /// The low `size` bytes of a value that varies.
    fn low_part(&mut self, from: Value, size: Size) -> Value {
        if size == Size::B8 {
            return from;
        }
        let to = self.variable();
        self.drafts.push(Draft::Low { to, from, size });
        Value::Varies(to)
    }

    /// An instruction with fixed operands: so are its results.
    fn known(&mut self, step: &Executed) {
        for register in registers(step.effects.writes) {
            self.named[register] = Value::Fixed(step.after.gpr[register]);
        }
        if step.effects.writes_flags {
            self.flags_named = Value::Fixed(step.after.status());
        }
        if let Some(access) = step.store {
            self.stored.push(Cell { access, value: Value::Fixed(access.value) });
        }
    }

    /// An instruction whose operands vary: it is executed in each replay.
    fn replay(&mut self, step: &Executed, loaded: Option<Value>) -> Result<(), Obstacle> {
        if step.effects.reads_flags {
            self.place_flags(step.before.status())?;
        }
        if step.op.kind == Kind::Jcc {
            self.drafts.push(Draft::Branch { cond: step.op.cond, taken: step.taken });
            return Ok(());
        }
        if self.computed(step, loaded) {
            return Ok(());
        }
        if matches!(step.op.kind, Kind::Push | Kind::PushImm | Kind::Pop | Kind::Leave) {
            // Those that only copy are done already; others would need the stack pointer placed.
            return Err(Obstacle::Unknown);
        }
        for register in registers(step.effects.reads) {
            let value = self.named[register];
            if self.placed[register] != value {
                self.drafts.push(Draft::Put { register, value });
                self.placed[register] = value;
            }
        }
        let stored = step.store.map(|access| (access, self.variable()));
        self.drafts.push(Draft::Execute {
            op: step.op,
            load: loaded.unwrap_or(Value::Fixed(0)),
            stored: stored.map(|(_, variable)| variable),
            writes_flags: step.effects.writes_flags,
        });
        self.charged += step.charged;
        for register in registers(step.effects.writes) {
            let to = self.variable();
            self.drafts.push(Draft::Keep { to, register });
            (self.named[register], self.placed[register]) = (Value::Varies(to), Value::Varies(to));
        }
        self.flags_from(step);
        if let Some((access, variable)) = stored {
            self.stored.push(Cell { access, value: Value::Varies(variable) });
        }
        Ok(())
    }

    /// The flags are those of `step` now, in the program and where replayed instructions find them.
    fn flags_from(&mut self, step: &Executed) {
        if step.effects.writes_flags {
            let flags = Value::Varies(self.variable());
            (self.flags_named, self.flags_placed) = (flags, flags);
        }
    }

    /// The frequent instructions have steps of their own, which need no registers. True if this is
    /// one of them.
    fn computed(&mut self, step: &Executed, loaded: Option<Value>) -> bool {
        let op = &step.op;
        if op.kind == Kind::Rdtsc {
            let (low, high) = (self.variable(), self.variable());
            self.drafts.push(Draft::Clock { at: step.at, low, high });
            self.named[gpr::RAX] = Value::Varies(low);
            self.named[gpr::RDX] = Value::Varies(high);
            return true;
        }
        if op.kind == Kind::Lea {
            return self.sum(step);
        }
        let Some((a, b)) = self.operands(step, loaded) else { return false };
        let size = op.size;
        let result = match (Pure::of(op.kind), op.kind) {
            (Some(pure), kind) => {
                let writes = !matches!(kind, Kind::Cmp | Kind::Test);
                let to = writes.then(|| self.variable());
                self.drafts.push(Draft::Compute { pure, size, a, b, to });
                to
            }
            (None, Kind::Shld | Kind::Shrd) if !op.has(flag::COUNT_CL) => {
                let b = self.named[usize::from(op.src & 15)];
                let (to, right) = (self.variable(), op.kind == Kind::Shrd);
                self.drafts.push(Draft::Double { right, count: op.imm as u8, size, a, b, to });
                Some(to)
            }
            (None, Kind::Mul) => {
                let factor = if op.form == Form::Reg { a } else { b };
                let (low, high) = (self.variable(), self.variable());
                let a = self.named[gpr::RAX];
                self.drafts.push(Draft::Product { size, a, b: factor, low, high });
                self.named[gpr::RAX] = Value::Varies(low);
                self.named[gpr::RDX] = Value::Varies(high);
                self.flags_from(step);
                return true;
            }
            (None, Kind::Cmov) => {
                let to = self.variable();
                self.drafts.push(Draft::Select { cond: op.cond, size, a, b, to });
                Some(to)
            }
            (None, Kind::Mov) if op.form == Form::RegReg => {
                let to = self.variable();
                self.drafts.push(Draft::Low { to, from: b, size });
                Some(to)
            }
            _ => return false,
        };
        self.flags_from(step);
        if let Some(to) = result {
            match step.store {
                Some(access) => self.stored.push(Cell { access, value: Value::Varies(to) }),
                None => self.named[usize::from(op.dst & 15)] = Value::Varies(to),
            }
        }
        true
    }

    /// LEA.
    fn sum(&mut self, step: &Executed) -> bool {
        let op = &step.op;
        if op.size != Size::B8 || op.has(flag::ADDR32) || op.base == reg::RIP {
            return false;
        }
        let part = |id: u8| match id {
            0..16 => self.named[usize::from(id)],
            _ => Value::Fixed(0),
        };
        let (a, b) = (part(op.base), part(op.index));
        let to = self.variable();
        self.drafts.push(Draft::Sum { a, b, shift: op.scale, disp: op.disp, to });
        self.named[usize::from(op.dst & 15)] = Value::Varies(to);
        true
    }

    /// The values of the two operands of an instruction.
    fn operands(&self, step: &Executed, loaded: Option<Value>) -> Option<(Value, Value)> {
        let value = |operand| match operand {
            Operand::Register(id) => Some(self.named[usize::from(id)]),
            Operand::Memory => loaded,
            Operand::Immediate(value) => Some(Value::Fixed(value)),
        };
        let [a, b] = pure::operands(&step.op)?;
        Some((value(a)?, value(b)?))
    }

    /// Lets the replayed instructions find the flags that the program has: `status`, if fixed.
    fn place_flags(&mut self, status: u64) -> Result<(), Obstacle> {
        match self.flags_named {
            named if named == self.flags_placed => {}
            Value::Fixed(_) => {
                self.drafts.push(Draft::Flags(status));
                self.flags_placed = self.flags_named;
            }
            // Overwritten by an instruction that was replayed, but not in the program: no rule.
            Value::Varies(_) => return Err(Obstacle::Unknown),
        }
        Ok(())
    }

    fn variable(&mut self) -> Variable {
        self.variables += 1;
        self.variables - 1
    }

    /// A register has to hold what it held in the recording.
    fn fix(&mut self, register: usize, value: u64) -> Result<(), Obstacle> {
        let named = self.named[register];
        self.may_vary(named)?;
        if let Value::Varies(variable) = named {
            self.expect(variable, value);
            self.named[register] = Value::Fixed(value);
        }
        Ok(())
    }

    /// A value that is used: unless it is known to vary, a register of the start has to be fixed.
    fn may_vary(&self, value: Value) -> Result<(), Obstacle> {
        match value {
            Value::Varies(variable)
                if usize::from(variable) < REGISTERS
                    && self.varying.registers & bit(usize::from(variable)) == 0 =>
            {
                Err(Obstacle::Fix(usize::from(variable)))
            }
            Value::Varies(_) | Value::Fixed(_) => Ok(()),
        }
    }

    fn expect(&mut self, variable: Variable, value: u64) {
        if !self.expected.contains(&(variable, value)) {
            self.expected.push((variable, value));
            self.drafts.push(Draft::Expect { variable, value });
        }
    }

    /// What a load sees.
    fn load(&mut self, load: MemoryAccess) -> Result<Value, Obstacle> {
        if let Some(cell) = self.stored.iter().rev().find(|cell| cell.access.overlaps(&load)) {
            let (access, value) = (cell.access, cell.value);
            return match value {
                Value::Fixed(_) if access.covers(&load) => Ok(Value::Fixed(load.value)),
                Value::Varies(_) if access.addr == load.addr && access.covers(&load) => {
                    Ok(if access.size == load.size {
                        value
                    } else {
                        self.low_part(value, load.size)
                    })
                }
                Value::Fixed(_) | Value::Varies(_) => Err(Obstacle::Unknown),
            };
        }
        if let Some(cell) = self.loaded.iter().find(|cell| cell.access.is_at(&load)) {
            return Ok(cell.value);
        }
        let place = Place::new(load.addr, load.size).ok_or(Obstacle::Unknown)?;
        let value = if self.varying.words.contains(&(load.addr, load.size as u64)) {
            let to = self.variable();
            self.drafts.push(Draft::Load { to, place });
            Value::Varies(to)
        } else {
            self.words.push((place, load.value));
            Value::Fixed(load.value)
        };
        self.loaded.push(Cell { access: load, value });
        Ok(value)
    }

    /// The registers that the stretch changes, and their values at its end.
    fn changes(&self, start: &[u64; 16], end: &[u64; 16]) -> Vec<(u8, Value)> {
        let change = |register: usize| match self.named[register] {
            Value::Fixed(_) => {
                let known = self.fixed & bit(register) != 0 && end[register] == start[register];
                (!known).then_some(Value::Fixed(end[register]))
            }
            value @ Value::Varies(variable) => (usize::from(variable) != register).then_some(value),
        };
        let changes = (0..REGISTERS).filter_map(|n| Some((n as u8, change(n)?)));
        changes.collect()
    }

    fn finish(self, recording: &Recording, end: &Values) -> Result<Stretch, Obstacle> {
        let changes = self.changes(&recording.start.gpr, &end.gpr);
        let committed = self.stored.len().saturating_sub(recording.pending.len());
        let (done, buffered) = self.stored.split_at(committed);
        let later = |n: usize| done[n + 1..].iter().any(|cell| cell.access.is_at(&done[n].access));
        let visible: Vec<&Cell> = (0..committed).filter(|&n| !later(n)).map(|n| &done[n]).collect();
        let results = changes.iter().map(|&(_, value)| value);
        let results = results.chain(visible.iter().map(|cell| cell.value));
        let results = results.chain(buffered.iter().map(|cell| cell.value));
        let results = results.chain(self.apic.iter().map(|&(_, value)| value));
        let drafts = without_unused(self.drafts, results.clone());
        let slots = Slots::of(&drafts, results, usize::from(self.variables));
        let slots = slots.ok_or(Obstacle::Unknown)?;
        let slot = |value| slots.of_value(value);
        let store = |cell: &&Cell| {
            Some((Place::new(cell.access.addr, cell.access.size)?, slot(cell.value)))
        };
        let stores: Option<Vec<_>> = visible.iter().map(store).collect();
        let stores = stores.and_then(|stores| ByPage::new(stores.into_iter()));
        let pending = recording.pending.iter().zip(buffered);
        let mut ops = Vec::new();
        let program = Program {
            fixed: registers(self.fixed).map(|n| (n as u8, recording.start.gpr[n])).collect(),
            words: ByPage::new(self.words.into_iter()).ok_or(Obstacle::Unknown)?,
            steps: drafts.iter().map(|draft| slots.step(draft, &mut ops)).collect(),
            registers: changes.iter().map(|&(register, value)| (register, slot(value))).collect(),
            stores: stores.ok_or(Obstacle::Unknown)?,
            pending: pending.map(|(&store, cell)| (store, slot(cell.value))).collect(),
            apic: self
                .apic
                .iter()
                .map(|&(store, value)| ApicStore { value: slot(value), ..store })
                .collect(),
            flags: end.rflags,
            charged: self.charged,
            ops: ops.into(),
            constants: slots.constants.into(),
        };
        Ok(Stretch { frame: Frame::of(recording), program })
    }
}

/// The members of a set.
fn registers(set: RegisterSet) -> impl Iterator<Item = usize> {
    (0..16).filter(move |&register| set & bit(register) != 0)
}
