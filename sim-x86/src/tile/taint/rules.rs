//! What each instruction makes of values that depend on the clock.

use super::{Done, Flags, Taint, gpr, sum};
use crate::tile::Tracker;
use iced_x86::{FlowControl, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

impl Tracker {
    /// Carries the taint of the inputs over to the outputs.
    pub(super) fn transfer(&mut self, done: &Done<'_>) {
        use Mnemonic as M;
        let i = &done.instruction;
        match i.mnemonic() {
            M::Mov | M::Movzx | M::Movsxd => {
                let (_, taint) = self.operand(done, 1);
                self.set(done, taint, None);
            }
            M::Push => {
                let (_, taint) = self.operand(done, 0);
                self.set_memory(done.core, taint);
            }
            M::Pop => {
                let (_, taint, _) = self.loaded();
                self.set(done, taint, None);
            }
            M::Lea => {
                let taint = self.sum_of_address(done);
                self.set(done, taint, None);
            }
            M::Add | M::Sub | M::Cmp => self.add(done),
            M::Inc | M::Dec => {
                let (_, taint) = self.operand(done, 0);
                self.set(done, taint, Some(taint));
            }
            M::Test => self.test(done),
            M::Or | M::And | M::Xor => self.logic(done),
            M::Shl | M::Sal | M::Shr | M::Sar => self.shift(done),
            M::Mul if i.op_count() == 1 => self.wide_product(done),
            M::Shrd => self.wide_shift(done),
            M::Imul if i.op_count() >= 2 => self.product(done),
            M::Cqo => self.sign(done),
            M::Div | M::Idiv => self.quotient(done),
            _ if i.is_jcc_short_or_near() => self.use_flags(done),
            _ if i.condition_code() != iced_x86::ConditionCode::None => self.conditional(done),
            _ => self.other(done),
        }
    }

    fn sum_of_address(&self, done: &Done<'_>) -> Option<Taint> {
        let i = &done.instruction;
        let of = |register| gpr(register).and_then(|n| self.cores[done.core.index()].taints.gpr[n]);
        let index = of(i.memory_index()).map(|t| t.scaled(f64::from(i.memory_index_scale())));
        sum(of(i.memory_base()), index)
    }

    fn add(&mut self, done: &Done<'_>) {
        let (a, first) = self.operand(done, 0);
        let (b, second) = self.operand(done, 1);
        if first.is_none() && second.is_none() {
            let keeps = done.instruction.mnemonic() == Mnemonic::Cmp;
            return if keeps {
                self.set_flags(done, None);
            } else {
                self.set(done, None, Some(None));
            };
        }
        let subtrahend = second;
        let (value, second) = match done.instruction.mnemonic() {
            Mnemonic::Add => (a.wrapping_add(b), second),
            _ => (a.wrapping_sub(b), second.map(|t| t.scaled(-1.0))),
        };
        // Signed and unsigned order agree only for these.
        let differ = done.instruction.mnemonic() != Mnemonic::Add;
        if (a | b) >> 63 != 0 && differ {
            self.cut_by_value();
        }
        let operands = [first.map(|t| (t, a)), subtrahend.map(|t| (t, b))];
        let taint = sum(first, second);
        let flags = taint.map(|taint| Flags {
            operands: if differ { operands } else { [None; 2] },
            ..Flags::of(value as i64, taint)
        });
        if done.instruction.mnemonic() == Mnemonic::Cmp {
            return self.set_flags(done, flags);
        }
        self.set(done, taint, None);
        self.set_flags(done, flags);
    }

    fn test(&mut self, done: &Done<'_>) {
        let (a, first) = self.operand(done, 0);
        let (_, second) = self.operand(done, 1);
        let i = &done.instruction;
        let same = i.op_kind(1) == OpKind::Register && i.op0_register() == i.op1_register();
        let taint = if same { first } else { sum(first, second).map(|_| Taint::OPAQUE) };
        self.set_flags(done, taint.map(|taint| Flags::of(a as i64, taint)));
    }

    fn logic(&mut self, done: &Done<'_>) {
        let i = &done.instruction;
        let same = i.op_kind(1) == OpKind::Register && i.op0_register() == i.op1_register();
        if same && i.mnemonic() == Mnemonic::Xor {
            return self.set(done, None, Some(None));
        }
        let (a, first) = self.operand(done, 0);
        let (b, second) = self.operand(done, 1);
        let (moving, fixed, taint) = match (first, second) {
            (None, None) => return self.set(done, None, Some(None)),
            (Some(taint), None) => (a, b, taint),
            (None, Some(taint)) => (b, a, taint),
            (Some(_), Some(_)) => return self.lose(done),
        };
        // The moving value has to keep to the bits that the other one leaves alone.
        let room = match i.mnemonic() {
            Mnemonic::Or if fixed == 0 => u64::MAX >> 1,
            Mnemonic::Or => (1u64 << fixed.trailing_zeros()) - 1,
            Mnemonic::And if fixed & fixed.wrapping_add(1) == 0 => fixed,
            _ => return self.lose(done),
        };
        if moving > room {
            return self.lose(done);
        }
        self.stay_within(taint, moving.min(room - moving));
        self.set(done, Some(taint), Some(Some(Taint::OPAQUE)));
    }

    fn shift(&mut self, done: &Done<'_>) {
        let (value, taint) = self.operand(done, 0);
        let (count, counted) = self.operand(done, 1);
        let Some(taint) = taint else {
            return if counted.is_some() {
                self.lose(done);
            } else {
                self.set(done, None, Some(None));
            };
        };
        let factor = 2f64.powi(count as i32 & 63);
        let left = matches!(done.instruction.mnemonic(), Mnemonic::Shl | Mnemonic::Sal);
        let overflows = left && value.leading_zeros() <= count as u32 + 1;
        if counted.is_some() || overflows || done.operand_size(0) != 8 {
            return self.lose(done);
        }
        let taint = if left { taint.scaled(factor) } else { taint.scaled(1.0 / factor).floored() };
        self.set(done, Some(taint), Some(Some(Taint::OPAQUE)));
    }

    fn wide_product(&mut self, done: &Done<'_>) {
        let (b, second) = self.operand(done, 0);
        let a = done.before.gpr[0];
        let first = self.cores[done.core.index()].taints.gpr[0];
        let taint = match (first, second) {
            (None, None) => None,
            (Some(taint), None) => Some(taint.scaled(b as f64)),
            (None, Some(taint)) => Some(taint.scaled(a as f64)),
            (Some(_), Some(_)) => return self.lose(done),
        };
        let part = taint.map(|_| Taint::OPAQUE);
        let taints = &mut self.cores[done.core.index()].taints;
        (taints.gpr[0], taints.gpr[2]) = (part, part);
        taints.wide = taint.map(|taint| (u128::from(a) * u128::from(b), taint));
        self.set_flags(done, part.map(|part| Flags::of(0, part)));
    }

    fn wide_shift(&mut self, done: &Done<'_>) {
        let i = &done.instruction;
        let taints = &mut self.cores[done.core.index()].taints;
        let halves = [0, 2].iter().all(|&n| taints.gpr[n] == Some(Taint::OPAQUE));
        let whole = i.op0_register() == Register::RAX && i.op1_register() == Register::RDX;
        let Some((product, taint)) = taints.wide.take().filter(|_| whole && halves) else {
            return self.other(done);
        };
        let Ok(count) = i.try_immediate(2) else { return self.lose(done) };
        if product >> count >= 1 << 62 {
            return self.lose(done);
        }
        let taint = taint.scaled(1.0 / 2f64.powi(count as i32)).floored();
        self.set(done, Some(taint), Some(Some(Taint::OPAQUE)));
    }

    fn product(&mut self, done: &Done<'_>) {
        let count = done.instruction.op_count();
        let (a, first) = self.operand(done, count - 2);
        let (b, second) = self.operand(done, count - 1);
        let taint = match (first, second) {
            (None, None) => return self.set(done, None, Some(None)),
            (Some(taint), None) => taint.scaled(b as i64 as f64),
            (None, Some(taint)) => taint.scaled(a as i64 as f64),
            (Some(_), Some(_)) => return self.lose(done),
        };
        let overflows =
            (a as i64).checked_mul(b as i64).is_none_or(|p| p.unsigned_abs() >> 61 != 0);
        if overflows || done.operand_size(0) != 8 {
            return self.lose(done);
        }
        self.set(done, Some(taint), Some(Some(Taint::OPAQUE)));
    }

    /// CQO: the moving value has to keep its sign.
    fn sign(&mut self, done: &Done<'_>) {
        let Some(taint) = self.cores[done.core.index()].taints.gpr[0] else {
            return self.other(done);
        };
        match done.before.gpr[0] as i64 {
            value @ 0.. => self.stay_above(taint, value as u64),
            value => self.stay_above(taint.scaled(-1.0), value.unsigned_abs() - 1),
        }
        let taints = &mut self.cores[done.core.index()].taints;
        (taints.gpr[2], taints.wide) = (None, None);
    }

    /// A moving value is divided by a fixed one: the quotient has to stay, the remainder moves.
    fn quotient(&mut self, done: &Done<'_>) {
        let (divisor, moving) = self.operand(done, 0);
        let (value, upper) = (done.before.gpr[0], done.before.gpr[2]);
        let taints = &self.cores[done.core.index()].taints;
        let (Some(taint), None, None) = (taints.gpr[0], taints.gpr[2], moving) else {
            return self.other(done);
        };
        // Below 2^63, DIV and IDIV are alike.
        if upper != 0 || divisor == 0 || (value | divisor) >> 63 != 0 || done.operand_size(0) != 8 {
            return self.other(done);
        }
        let remainder = value % divisor;
        self.stay_above(taint, remainder);
        self.stay_above(taint.scaled(-1.0), divisor - 1 - remainder);
        let taints = &mut self.cores[done.core.index()].taints;
        (taints.gpr[0], taints.gpr[2], taints.wide) = (None, Some(taint), None);
        self.set_flags(done, None);
    }

    /// CMOVcc and SETcc.
    fn conditional(&mut self, done: &Done<'_>) {
        self.use_flags(done);
        let i = &done.instruction;
        if i.op_count() < 2 {
            return self.set(done, None, None);
        }
        // Which of the two it was does not matter if they are the same; else their values tell.
        let (old, first) = self.operand(done, 0);
        let (new, second) = self.operand(done, 1);
        let result = gpr(i.op0_register()).map_or(0, |n| done.after.gpr[n]);
        let taint = match (result == new, result == old) {
            (true, false) => second,
            (false, true) => first,
            _ if first == second => first,
            _ => return self.lose(done),
        };
        self.set(done, taint, None);
    }

    /// An instruction without a rule: its inputs must not depend on the clock.
    fn other(&mut self, done: &Done<'_>) {
        let mut factory = InstructionInfoFactory::new();
        let info = factory.info(&done.instruction);
        let read = |access| {
            matches!(
                access,
                OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            )
        };
        let taints = &self.cores[done.core.index()].taints;
        let reads = info.used_registers().iter().filter(|used| read(used.access()));
        let registers =
            reads.filter_map(|used| gpr(used.register())).any(|n| taints.gpr[n].is_some());
        let loads = self.step.loads.iter().any(|&(addr, size, _)| self.tainted(addr, size));
        let flags = done.instruction.rflags_read() != 0 && taints.flags.is_some();
        let jumps = done.instruction.flow_control() != FlowControl::Next;
        let written: Vec<usize> = info
            .used_registers()
            .iter()
            .filter(|used| !matches!(used.access(), OpAccess::Read | OpAccess::CondRead))
            .filter_map(|used| gpr(used.register()))
            .filter(|&n| n != 4 || !jumps)
            .collect();
        if registers || loads || flags {
            self.cut_by_value();
        }
        for n in written {
            self.cores[done.core.index()].taints.gpr[n] = None;
        }
        self.set_flags(done, None);
        self.forget_stored();
    }

    /// Two moving values meet in a way that has no rule.
    fn lose(&mut self, done: &Done<'_>) {
        self.cut_by_value();
        self.set(done, None, Some(None));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::regs::Registers;
    use crate::ids::{CoreId, DeviceId};
    use crate::tile::pace::VALUES;
    use crate::tile::swept::Swept;

    /// Slacks downwards and upwards after these instructions, RAX (which moves by 1) being `rax`
    /// and RCX `rcx`. A little is left off of each for rounding.
    fn slacks(rax: u64, rcx: u64, instructions: &[&[u8]]) -> [Option<u64>; 2] {
        let mut tracker = Tracker::new(1, 64, &[Swept::Arrival(DeviceId(0))]);
        let k = std::array::from_fn(|which| if which == 0 { 1.0 } else { 0.0 });
        tracker.cores[0].taints.gpr[0] = Some(Taint { k, error: 0.0 });
        let mut regs = Registers::default();
        (regs.gpr[0], regs.gpr[1]) = (rax, rcx);
        for bytes in instructions {
            tracker.end_step(CoreId(0), bytes, &regs, &regs);
        }
        let bounds = tracker.into_bounds();
        [-1, 1].map(|sign| {
            let mut direction = [0; VALUES];
            direction[0] = sign;
            bounds.iter().find(|(known, _)| *known == direction).map(|(_, bound)| bound.slack)
        })
    }

    #[test]
    fn a_quotient_stays_while_the_remainder_stays_below_the_divisor() {
        // DIV RCX: 4 and 7 out of 47 and 10.
        assert_eq!(slacks(47, 10, &[&[0x48, 0xf7, 0xf1]]), [Some(6), Some(1)]);
    }

    #[test]
    fn an_unsigned_comparison_does_not_wrap() {
        // CMP RAX, RCX; JB or JL.
        let compare: &[u8] = &[0x48, 0x39, 0xc8];
        assert_eq!(slacks(5, 100, &[compare, &[0x72, 0]]), [Some(4), Some(93)]);
        assert_eq!(slacks(5, 100, &[compare, &[0x7c, 0]]), [None, Some(93)]);
        let far = slacks(5, (1 << 63) - 1, &[compare, &[0x7c, 0]]);
        assert_eq!(far[0], Some(4), "a signed difference would overflow");
    }
}
