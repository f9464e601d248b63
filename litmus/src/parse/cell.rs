//! One cell of the table: at most one instruction, in either dialect.

use super::scan::Scanner;
use super::{Builder, Parsed, mistake};
use crate::program::{Dialect, Instruction, Op, Operand, Place, RAX, RSP, Reg, Size};

/// Labels of one thread and the jumps to them.
#[derive(Default)]
pub(super) struct Labels<'a> {
    labels: Vec<(&'a str, usize)>,
    /// Instruction, its label, and where that stands.
    jumps: Vec<(usize, &'a str, usize)>,
}

impl Labels<'_> {
    /// Gives every jump its target.
    pub(super) fn resolve(self, code: &mut [Instruction]) -> Parsed<()> {
        for (instruction, name, at) in self.jumps {
            let Some(&(_, target)) = self.labels.iter().find(|(label, _)| *label == name) else {
                let problem = format!("there is no label `{name}` in this thread");
                return mistake(at, problem, format!("write `{name}:` in a cell of its column"));
            };
            code[instruction].target = Some(target);
        }
        Ok(())
    }
}

/// Reads a cell and adds its instruction, if it has one.
pub(super) fn instruction<'a>(
    builder: &mut Builder,
    cell: &mut Scanner<'a>,
    code: &mut Vec<Instruction>,
    labels: &mut Labels<'a>,
) -> Parsed<()> {
    // In herd's tests, `#` begins a comment.
    let text = cell.rest().split('#').next().unwrap_or_default();
    let mut cell = cell.first(text.len());
    cell.skip_blanks();
    if let Some(label) = label(&mut cell) {
        if labels.labels.iter().any(|(known, _)| *known == label) {
            let problem = format!("a second label `{label}`");
            return mistake(cell.at(), problem, "labels of one thread differ");
        }
        labels.labels.push((label, code.len()));
        cell.skip_blanks();
    }
    if cell.is_done() {
        return Ok(());
    }
    let at = cell.at();
    let prefix = cell.keyword("lock");
    let mnemonic_at = cell.at();
    let Some(mnemonic) = cell.word() else {
        let problem = format!("{} is not an instruction", cell.found());
        return mistake(at, problem, "see docs/litmus.md for those that are understood");
    };
    let (op, suffix) = operation(mnemonic, builder.dialect, mnemonic_at)?;
    if matches!(op, Op::Jmp | Op::Je | Op::Jne | Op::Jc | Op::Jnc) {
        let target_at = cell.at();
        let Some(target) = cell.word() else {
            return mistake(target_at, "a jump to nowhere", "name a label");
        };
        labels.jumps.push((code.len(), target, target_at));
        code.push(plain(op));
        return at_end(&mut cell);
    }
    let mut operands = operands(builder, &mut cell)?;
    at_end(&mut cell)?;
    if builder.dialect == Dialect::X86_64 {
        operands.reverse();
    }
    let instruction = Draft { op, suffix, prefix, operands, at }.finish()?;
    if let Some(place) = instruction.place() {
        builder.accessed(place, instruction.size, at)?;
    }
    code.push(instruction);
    Ok(())
}

fn plain(op: Op) -> Instruction {
    Instruction { op, size: Size::B4, locked: false, dst: None, src: None, target: None }
}

fn at_end(cell: &mut Scanner<'_>) -> Parsed<()> {
    cell.skip_blanks();
    if cell.is_done() {
        return Ok(());
    }
    mistake(cell.at(), format!("{} is left over", cell.found()), "a cell holds one instruction")
}

/// `NAME:` at the start of a cell.
fn label<'a>(cell: &mut Scanner<'a>) -> Option<&'a str> {
    let saved = *cell;
    if let Some(word) = cell.word()
        && cell.take(":")
    {
        return Some(word);
    }
    *cell = saved;
    None
}

/// The operation of a mnemonic, and the size of an AT&T suffix.
fn operation(mnemonic: &str, dialect: Dialect, at: usize) -> Parsed<(Op, Option<Size>)> {
    let lower = mnemonic.to_ascii_lowercase();
    if let Some((op, size)) = named(&lower) {
        return Ok((op, size));
    }
    let suffix = match lower.chars().last() {
        Some('b') => Some(Size::B1),
        Some('w') => Some(Size::B2),
        Some('l') => Some(Size::B4),
        Some('q') => Some(Size::B8),
        _ => None,
    };
    if dialect == Dialect::X86_64
        && suffix.is_some()
        && let Some((op, None)) = named(&lower[..lower.len() - 1])
    {
        return Ok((op, suffix));
    }
    let problem = format!("`{mnemonic}` is not an instruction that is understood");
    mistake(at, problem, "see docs/litmus.md for those that are")
}

fn named(lower: &str) -> Option<(Op, Option<Size>)> {
    let op = match lower {
        "mov" => Op::Mov,
        "xchg" => Op::Xchg,
        "xadd" => Op::Xadd,
        "cmpxchg" => Op::Cmpxchg,
        "cmpxchg8b" => return Some((Op::CmpxchgPair, Some(Size::B8))),
        "cmpxchg16b" => return Some((Op::CmpxchgPair, Some(Size::B16))),
        "add" => Op::Add,
        "sub" => Op::Sub,
        "and" => Op::And,
        "or" => Op::Or,
        "xor" => Op::Xor,
        "cmp" => Op::Cmp,
        "test" => Op::Test,
        "inc" => Op::Inc,
        "dec" => Op::Dec,
        "neg" => Op::Neg,
        "not" => Op::Not,
        "bts" => Op::Bts,
        "btr" => Op::Btr,
        "btc" => Op::Btc,
        "mfence" => Op::Mfence,
        "lfence" => Op::Lfence,
        "sfence" => Op::Sfence,
        "nop" => Op::Nop,
        "pause" => Op::Pause,
        "jmp" => Op::Jmp,
        "je" | "jz" => Op::Je,
        "jne" | "jnz" => Op::Jne,
        "jc" | "jb" => Op::Jc,
        "jnc" | "jae" => Op::Jnc,
        "ret" => Op::Ret,
        _ => return None,
    };
    Some((op, None))
}

/// A register and the size of its name, after an optional `%`.
pub(super) fn register(scanner: &mut Scanner<'_>) -> Parsed<(Reg, Size)> {
    scanner.take("%");
    scanner.skip_blanks();
    let at = scanner.at();
    let Some(name) = scanner.word() else {
        let problem = format!("a register expected, found {}", scanner.found());
        return mistake(at, problem, "write e.g. EAX or %rax");
    };
    let Some((register, size)) = register_named(name) else {
        return mistake(at, format!("`{name}` is not a register"), "write e.g. EAX or %rax");
    };
    if register == RSP {
        let help = "interrupts push their frames there: use another register";
        return mistake(at, "the stack pointer is taken", help);
    }
    Ok((register, size))
}

fn register_named(name: &str) -> Option<(Reg, Size)> {
    const BYTE: [&str; 8] = ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"];
    const WORD: [&str; 8] = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"];
    let lower = name.to_ascii_lowercase();
    let in_list =
        |list: [&str; 8], name: &str| list.iter().position(|known| *known == name).map(reg);
    if let Some(found) = in_list(BYTE, &lower) {
        return Some((found, Size::B1));
    }
    if let Some(found) = in_list(WORD, &lower) {
        return Some((found, Size::B2));
    }
    if let Some(found) = lower.strip_prefix('e').and_then(|rest| in_list(WORD, rest)) {
        return Some((found, Size::B4));
    }
    let rest = lower.strip_prefix('r')?;
    if let Some(found) = in_list(WORD, rest) {
        return Some((found, Size::B8));
    }
    let (digits, size) = match rest.chars().last()? {
        'b' => (&rest[..rest.len() - 1], Size::B1),
        'w' => (&rest[..rest.len() - 1], Size::B2),
        'd' => (&rest[..rest.len() - 1], Size::B4),
        _ => (rest, Size::B8),
    };
    let number: usize = digits.parse().ok()?;
    (8..16).contains(&number).then(|| (reg(number), size))
}

fn reg(number: usize) -> Reg {
    Reg(number as u8)
}

/// An operand, the size that it says, and where it stands.
type Written = (Operand, Option<Size>, usize);

fn operands(builder: &mut Builder, cell: &mut Scanner<'_>) -> Parsed<Vec<Written>> {
    let mut operands = Vec::new();
    cell.skip_blanks();
    while !cell.is_done() {
        cell.skip_blanks();
        let at = cell.at();
        let (operand, size) = match builder.dialect {
            Dialect::X86 => intel_operand(builder, cell)?,
            Dialect::X86_64 => att_operand(builder, cell)?,
        };
        operands.push((operand, size, at));
        if !cell.take(",") {
            break;
        }
    }
    Ok(operands)
}

fn starts_number(c: char) -> bool {
    c.is_ascii_digit() || c == '-' || c == '+'
}

fn intel_operand(builder: &mut Builder, cell: &mut Scanner<'_>) -> Parsed<(Operand, Option<Size>)> {
    let sizes = [
        ("byte", Size::B1),
        ("word", Size::B2),
        ("dword", Size::B4),
        ("qword", Size::B8),
        ("xmmword", Size::B16),
    ];
    let size = sizes.iter().find(|(word, _)| cell.keyword(word)).map(|&(_, size)| size);
    cell.keyword("ptr");
    if cell.take("[") {
        let place = place_in_brackets(builder, cell, "]")?;
        return Ok((Operand::Mem(place), size));
    }
    if cell.take("$") || cell.peek().is_some_and(starts_number) {
        return Ok((Operand::Imm(cell.number()?), None));
    }
    let (register, size) = register(cell)?;
    Ok((Operand::Reg(register), Some(size)))
}

fn att_operand(builder: &mut Builder, cell: &mut Scanner<'_>) -> Parsed<(Operand, Option<Size>)> {
    if cell.take("$") {
        return Ok((Operand::Imm(cell.number()?), None));
    }
    if cell.peek() == Some('%') {
        let (register, size) = register(cell)?;
        return Ok((Operand::Reg(register), Some(size)));
    }
    let at = cell.at();
    let displacement = match cell.peek() {
        Some(c) if starts_number(c) => cell.number()?,
        _ => 0,
    };
    cell.expect("(", "operands are `$1`, `%eax`, `(x)` and `4(x)`")?;
    let mut place = place_in_brackets(builder, cell, ")")?;
    place.offset = offset(place.offset as i64 + displacement, at)?;
    Ok((Operand::Mem(place), None))
}

/// `x` or `x+4`, and the closing bracket.
pub(super) fn place_in_brackets(
    builder: &mut Builder,
    cell: &mut Scanner<'_>,
    close: &str,
) -> Parsed<Place> {
    cell.skip_blanks();
    let at = cell.at();
    let Some(name) = cell.word() else {
        let problem = format!("a location expected, found {}", cell.found());
        return mistake(at, problem, "write the name of a location, e.g. `x` or `x+4`");
    };
    if register_named(name).is_some() {
        let problem = format!("`{name}` is a register: addresses in registers are not understood");
        return mistake(at, problem, "write the name of a location");
    }
    let offset = if cell.take("+") { offset(cell.number()?, at)? } else { 0 };
    cell.expect(close, "close the brackets")?;
    Ok(Place { location: builder.location(name), offset })
}

fn offset(bytes: i64, at: usize) -> Parsed<u64> {
    match u64::try_from(bytes).ok().filter(|&bytes| bytes < super::LONGEST) {
        Some(bytes) => Ok(bytes),
        None => mistake(at, format!("{bytes} bytes from a location"), "write 0 to 15"),
    }
}

/// An instruction as read, to be checked.
struct Draft {
    op: Op,
    suffix: Option<Size>,
    prefix: bool,
    /// In Intel's order.
    operands: Vec<Written>,
    at: usize,
}

impl Draft {
    fn finish(self) -> Parsed<Instruction> {
        let wanted = operand_count(self.op);
        if self.operands.len() != wanted {
            let problem = format!("{} operands instead of {wanted}", self.operands.len());
            return mistake(self.at, problem, "compare the instruction with the manual");
        }
        let size = self.size()?;
        let mut operands = self.operands.iter().map(|&(operand, _, _)| operand);
        let (dst, src) = (operands.next(), operands.next());
        let (dst, src) = match (self.op, dst, src) {
            // XCHG and TEST are symmetric; memory comes first in the encoding.
            (Op::Xchg | Op::Test, Some(dst @ Operand::Reg(_)), Some(src @ Operand::Mem(_))) => {
                (Some(src), Some(dst))
            }
            (_, dst, src) => (dst, src),
        };
        let memory = matches!(dst, Some(Operand::Mem(_)));
        let locked = memory && (self.prefix || self.op == Op::Xchg);
        let instruction = Instruction { op: self.op, size, locked, dst, src, target: None };
        self.check(&instruction, memory)?;
        Ok(instruction)
    }

    fn size(&self) -> Parsed<Size> {
        let written = self.operands.iter().filter_map(|&(_, size, at)| Some((size?, at)));
        let mut size = self.suffix;
        for (other, at) in written {
            if self.op == Op::CmpxchgPair {
                continue;
            }
            if size.is_some_and(|size| size != other) {
                let problem = "operands of different sizes";
                return mistake(at, problem, "give both the same size");
            }
            size = Some(other);
        }
        match size.unwrap_or(Size::B4) {
            Size::B16 if self.op != Op::CmpxchgPair => {
                mistake(self.at, "an access of 16 bytes", "only CMPXCHG16B has as many")
            }
            size => Ok(size),
        }
    }

    fn check(&self, instruction: &Instruction, memory: bool) -> Parsed<()> {
        let wrong = |problem: &str, help: &str| mistake(self.at, problem, help);
        let Instruction { op, size, dst, src, .. } = *instruction;
        if self.prefix && !(memory && op.lockable()) {
            return wrong(
                "this instruction takes no LOCK prefix (it raises #UD)",
                "LOCK stands before a read-modify-write of memory",
            );
        }
        let pair_of_memory =
            matches!(dst, Some(Operand::Mem(_))) && matches!(src, Some(Operand::Mem(_)));
        if pair_of_memory || matches!(dst, Some(Operand::Imm(_))) {
            return wrong("no instruction has these operands", "check their order");
        }
        let needs_register = matches!(op, Op::Xchg | Op::Xadd | Op::Cmpxchg);
        if needs_register && !matches!(src, Some(Operand::Reg(_))) {
            return wrong("the second operand must be a register", "write a register there");
        }
        let exclusive = matches!(op, Op::Xadd | Op::Cmpxchg | Op::CmpxchgPair);
        if exclusive && !(memory && instruction.locked) {
            return wrong("this needs memory and LOCK here", "write `lock` before it");
        }
        let bits = matches!(op, Op::Bts | Op::Btr | Op::Btc);
        if let Some(Operand::Imm(value)) = src {
            let limit = size.bytes() as i64 * 8;
            if bits && !(0..limit).contains(&value) {
                return wrong("this bit is outside of the operand", "count from 0");
            }
            let least = if limit == 64 { i64::MIN } else { -1 << (limit - 1) };
            let most = if limit == 64 { i64::MAX } else { (1 << limit) - 1 };
            if !bits && !(least..=most).contains(&value) {
                return wrong("the constant does not fit the operand", "use a longer operand");
            }
            let short = op == Op::Mov && !memory;
            if size == Size::B8 && !short && i32::try_from(value).is_err() {
                return wrong(
                    "this constant needs more than 32 bits",
                    "load it into a register with movq first",
                );
            }
        } else if bits {
            return wrong("the bit must be a constant", "write e.g. `$3`");
        }
        if bits && size == Size::B1 {
            return wrong("bit tests have no byte form", "use 2, 4 or 8 bytes");
        }
        if op == Op::Cmpxchg && src == Some(Operand::Reg(RAX)) {
            return wrong("CMPXCHG of RAX with itself", "use another source register");
        }
        Ok(())
    }
}

fn operand_count(op: Op) -> usize {
    match op {
        Op::Mov
        | Op::Xchg
        | Op::Xadd
        | Op::Cmpxchg
        | Op::Add
        | Op::Sub
        | Op::And
        | Op::Or
        | Op::Xor
        | Op::Cmp
        | Op::Test
        | Op::Bts
        | Op::Btr
        | Op::Btc => 2,
        Op::CmpxchgPair | Op::Inc | Op::Dec | Op::Neg | Op::Not => 1,
        Op::Mfence
        | Op::Lfence
        | Op::Sfence
        | Op::Nop
        | Op::Pause
        | Op::Jmp
        | Op::Je
        | Op::Jne
        | Op::Jc
        | Op::Jnc
        | Op::Ret => 0,
    }
}
