//! What a recording becomes on the way to a program: values with names instead of places, and steps
//! that can be left out.

use super::stretch::{NOWHERE, Place, Program, REGISTERS, Slot, Step};
use crate::exec::pure::Pure;
use crate::exec::{Size, compares};
use crate::op::Op;
use std::collections::BTreeSet;

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// That of the recording.
    Fixed(u64),
    /// It varies: the register at the start, for the first sixteen; then the status flags at the
    /// start; then what is loaded and computed, numbered.
    Varies(Variable),
}

/// The number of a value that varies.
pub(super) type Variable = u16;

/// The status flags at the start.
pub(super) const FLAGS: Variable = REGISTERS as Variable;

/// A step of the program to be: see [`Step`].
#[derive(Clone, Copy)]
pub(super) enum Draft {
    Load { to: Variable, place: Place },
    Low { to: Variable, from: Value, size: Size },
    Compute { pure: Pure, size: Size, a: Value, b: Value, to: Option<Variable> },
    NoFlags { pure: Pure, size: Size, a: Value, b: Value, to: Variable },
    Double { right: bool, count: u8, size: Size, a: Value, b: Value, to: Variable },
    Product { size: Size, a: Value, b: Value, low: Variable, high: Variable },
    Select { cond: u8, size: Size, a: Value, b: Value, to: Variable },
    Sum { a: Value, b: Value, shift: u8, disp: i32, to: Variable },
    Clock { at: u64, low: Variable, high: Variable },
    Put { register: usize, value: Value },
    Flags(u64),
    Execute { op: Op, load: Value, stored: Option<Variable>, writes_flags: bool },
    Keep { to: Variable, register: usize },
    Branch { cond: u8, taken: bool },
    Decide { test: bool, size: Size, cond: u8, taken: bool, a: Value, b: Value },
    Expect { variable: Variable, value: u64 },
}

impl Draft {
    /// The values that it uses.
    fn uses(&self) -> impl Iterator<Item = Value> + use<> {
        let (first, second) = match *self {
            Draft::Expect { variable, .. } => (Some(Value::Varies(variable)), None),
            Draft::Low { from: value, .. }
            | Draft::Put { value, .. }
            | Draft::Execute { load: value, .. } => (Some(value), None),
            Draft::Compute { a, b, .. }
            | Draft::NoFlags { a, b, .. }
            | Draft::Double { a, b, .. }
            | Draft::Product { a, b, .. }
            | Draft::Decide { a, b, .. }
            | Draft::Select { a, b, .. }
            | Draft::Sum { a, b, .. } => (Some(a), Some(b)),
            Draft::Load { .. }
            | Draft::Clock { .. }
            | Draft::Flags(_)
            | Draft::Keep { .. }
            | Draft::Branch { .. } => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// The variables that it sets.
    fn sets(&self) -> impl Iterator<Item = Variable> + use<> {
        let (first, second) = match *self {
            Draft::Load { to, .. }
            | Draft::Low { to, .. }
            | Draft::NoFlags { to, .. }
            | Draft::Double { to, .. }
            | Draft::Select { to, .. }
            | Draft::Sum { to, .. }
            | Draft::Keep { to, .. } => (Some(to), None),
            Draft::Compute { to, .. } | Draft::Execute { stored: to, .. } => (to, None),
            Draft::Product { low, high, .. } | Draft::Clock { low, high, .. } => {
                (Some(low), Some(high))
            }
            Draft::Put { .. }
            | Draft::Flags(_)
            | Draft::Branch { .. }
            | Draft::Decide { .. }
            | Draft::Expect { .. } => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// True if it sets the status flags, and if it reads the old ones.
    fn flags(&self) -> (bool, bool) {
        match *self {
            Draft::Compute { pure, .. } => (true, pure.reads_flags()),
            Draft::Double { .. } => (true, true),
            Draft::Product { .. } | Draft::Flags(_) => (true, false),
            Draft::Execute { writes_flags, .. } => (writes_flags, true),
            Draft::Select { .. } | Draft::Branch { .. } => (false, true),
            Draft::Load { .. }
            | Draft::Low { .. }
            | Draft::NoFlags { .. }
            | Draft::Sum { .. }
            | Draft::Clock { .. }
            | Draft::Put { .. }
            | Draft::Keep { .. }
            | Draft::Decide { .. }
            | Draft::Expect { .. } => (false, false),
        }
    }

    /// What is left of it if nobody reads the flags that it sets.
    fn without_flags(self) -> Self {
        match self {
            Draft::Compute { pure, size, a, b, to: Some(to) } => {
                Draft::NoFlags { pure, size, a, b, to }
            }
            other => other,
        }
    }

    /// True if it does more than to set variables and flags.
    fn acts(&self) -> bool {
        matches!(
            self,
            Draft::Branch { .. }
                | Draft::Decide { .. }
                | Draft::Expect { .. }
                | Draft::Execute { .. }
                | Draft::Put { .. }
        )
    }

    /// This comparison and the branch `next` in one, if nobody else reads the flags.
    fn decides(&self, next: Option<&Draft>) -> Option<Draft> {
        let &Draft::Compute { pure, size, a, b, to: None } = self else { return None };
        let Some(&Draft::Branch { cond, taken }) = next else { return None };
        let test = match pure {
            Pure::Sub => false,
            Pure::And => true,
            _ => return None,
        };
        compares(cond).then_some(Draft::Decide { test, size, cond, taken, a, b })
    }
}

/// The drafts without those whose results nobody uses, not even as one of the `results`.
pub(super) fn without_unused(
    drafts: Vec<Draft>,
    results: impl Iterator<Item = Value>,
) -> Vec<Draft> {
    let mut used: BTreeSet<Variable> = BTreeSet::new();
    let mark = |used: &mut BTreeSet<Variable>, value| {
        if let Value::Varies(variable) = value {
            used.insert(variable);
        }
    };
    results.for_each(|value| mark(&mut used, value));
    // The flags at the end count.
    let (mut flags_used, mut used_behind) = (true, true);
    let mut kept: Vec<Draft> = Vec::new();
    for mut draft in drafts.into_iter().rev() {
        if let Some(decides) = draft.decides(kept.last()).filter(|_| !used_behind) {
            kept.pop();
            (draft, flags_used) = (decides, false);
        } else if !flags_used {
            draft = draft.without_flags();
        }
        let (writes_flags, reads_flags) = draft.flags();
        let needed = draft.acts()
            || (writes_flags && flags_used)
            || draft.sets().any(|variable| used.contains(&variable));
        if needed {
            draft.uses().for_each(|value| mark(&mut used, value));
            used_behind = flags_used;
            flags_used = reads_flags || (flags_used && !writes_flags);
            kept.push(draft);
        }
    }
    kept.reverse();
    kept
}

/// Which value stands in which slot.
pub(super) struct Slots {
    pub(super) constants: Vec<u64>,
}

impl Slots {
    /// Room for all values; `None` if there is not enough.
    pub(super) fn of(
        drafts: &[Draft],
        results: impl Iterator<Item = Value>,
        variables: usize,
    ) -> Option<Self> {
        let mut constants = vec![0];
        let written = drafts.iter().filter_map(|draft| match *draft {
            Draft::Flags(value) | Draft::Expect { value, .. } => Some(Value::Fixed(value)),
            Draft::Sum { disp, .. } => Some(Value::Fixed(i64::from(disp) as u64)),
            _ => None,
        });
        let used = drafts.iter().flat_map(Draft::uses);
        for value in used.chain(written).chain(results) {
            if let Value::Fixed(value) = value
                && !constants.contains(&value)
            {
                constants.push(value);
            }
        }
        Program::has_room(constants.len() + variables).then_some(Slots { constants })
    }

    pub(super) fn of_value(&self, value: Value) -> Slot {
        match value {
            Value::Fixed(value) => {
                let at = self.constants.iter().position(|&constant| constant == value);
                (REGISTERS + at.unwrap_or(0)) as Slot
            }
            Value::Varies(variable) => self.of_variable(variable),
        }
    }

    fn of_variable(&self, variable: Variable) -> Slot {
        if usize::from(variable) < REGISTERS {
            variable
        } else {
            variable + self.constants.len() as Slot
        }
    }

    /// The step of a draft; its instruction is added to `ops`.
    pub(super) fn step(&self, draft: &Draft, ops: &mut Vec<Op>) -> Step {
        let to_of = |to: Option<Variable>| to.map_or(NOWHERE, |to| self.of_variable(to));
        match *draft {
            Draft::Load { to, place } => place.load(self.of_variable(to)),
            Draft::Low { to, from, size } => {
                let (to, from) = (self.of_variable(to), self.of_value(from));
                Step::Low { to, from, size }
            }
            Draft::Compute { pure, size, a, b, to } => {
                let (a, b) = (self.of_value(a), self.of_value(b));
                Step::Compute { pure, size, a, b, to: to_of(to) }
            }
            Draft::NoFlags { pure, size, a, b, to } => {
                let (a, b, to) = (self.of_value(a), self.of_value(b), self.of_variable(to));
                Step::NoFlags { pure, size, a, b, to }
            }
            Draft::Double { right, count, size, a, b, to } => {
                let (a, b, to) = (self.of_value(a), self.of_value(b), self.of_variable(to));
                Step::Double { right, count, size, a, b, to }
            }
            Draft::Product { size, a, b, low, high } => {
                let (a, b) = (self.of_value(a), self.of_value(b));
                let (low, high) = (self.of_variable(low), self.of_variable(high));
                Step::Product { size, a, b, low, high }
            }
            Draft::Select { cond, size, a, b, to } => {
                let (a, b, to) = (self.of_value(a), self.of_value(b), self.of_variable(to));
                Step::Select { cond, size, a, b, to }
            }
            Draft::Sum { a, b, shift, disp, to } => {
                let (a, b, to) = (self.of_value(a), self.of_value(b), self.of_variable(to));
                let disp = self.of_value(Value::Fixed(i64::from(disp) as u64));
                Step::Sum { a, b, shift, disp, to }
            }
            Draft::Clock { at, low, high } => {
                let (low, high) = (self.of_variable(low), self.of_variable(high));
                Step::Clock { at: at as u32, low, high }
            }
            Draft::Put { register, value } => {
                Step::Put { register: register as u8, from: self.of_value(value) }
            }
            Draft::Flags(status) => Step::Flags { from: self.of_value(Value::Fixed(status)) },
            Draft::Execute { op, load, stored, .. } => {
                ops.push(op);
                let (op, load) = (ops.len() as u16 - 1, self.of_value(load));
                Step::Execute { op, load, stored: to_of(stored) }
            }
            Draft::Keep { to, register } => {
                Step::Keep { to: self.of_variable(to), register: register as u8 }
            }
            Draft::Branch { cond, taken } => Step::Branch { cond, taken },
            Draft::Decide { test, size, cond, taken, a, b } => {
                let (a, b) = (self.of_value(a), self.of_value(b));
                Step::Decide { test, size, cond, taken, a, b }
            }
            Draft::Expect { variable, value } => {
                let slot = self.of_variable(variable);
                Step::Expect { slot, value: self.of_value(Value::Fixed(value)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of these drafts, which set the flags, a branch at their end leaves.
    fn kept(functions: &[Pure]) -> usize {
        let (a, b, size) = (Value::Varies(0), Value::Fixed(1), Size::B8);
        let compute = |&pure| Draft::Compute { pure, size, a, b, to: None };
        let branch = Draft::Branch { cond: 2, taken: true };
        let drafts = functions.iter().map(compute).chain([branch, Draft::Flags(0)]).collect();
        without_unused(drafts, std::iter::empty()).len() - 2
    }

    #[test]
    fn a_result_that_somebody_reads_is_computed_without_flags_that_nobody_reads() {
        let (a, b, size) = (Value::Varies(0), Value::Fixed(1), Size::B8);
        let shift = Draft::Compute { pure: Pure::Shl, size, a, b, to: Some(20) };
        let sum = Draft::Compute { pure: Pure::Add, size, a, b, to: Some(21) };
        let results = [Value::Varies(20), Value::Varies(21)];
        let kept = without_unused(vec![sum, shift, Draft::Flags(0)], results.into_iter());
        // A shift reads the old flags only for its own.
        assert!(matches!(
            kept[..],
            [Draft::NoFlags { .. }, Draft::NoFlags { .. }, Draft::Flags(0)]
        ));
        let kept = without_unused(vec![sum, shift], results.into_iter());
        assert!(matches!(kept[..], [Draft::Compute { .. }, Draft::Compute { .. }]));
    }

    #[test]
    fn a_comparison_and_its_branch_are_one_step_if_nobody_else_reads_the_flags() {
        let (a, b, size) = (Value::Varies(0), Value::Fixed(1), Size::B8);
        let compare = |pure| Draft::Compute { pure, size, a, b, to: None };
        let branch = |cond| Draft::Branch { cond, taken: true };
        let kept = |drafts: &[Draft]| without_unused(drafts.to_vec(), std::iter::empty());
        let flags = Draft::Flags(0);
        assert!(matches!(
            kept(&[compare(Pure::Sub), branch(2), compare(Pure::And), branch(15), flags])[..],
            [Draft::Decide { test: false, .. }, Draft::Decide { test: true, .. }, Draft::Flags(0)]
        ));
        // Another branch reads them, or they are the flags at the end; OF, SF and PF are no
        // comparison.
        for behind in [&[branch(2), branch(4), flags][..], &[branch(2)], &[branch(8), flags]] {
            let all = [&[compare(Pure::Sub)], behind].concat();
            assert_eq!(kept(&all).len(), all.len());
        }
        assert_eq!(kept(&[compare(Pure::Add), branch(2), flags]).len(), 3);
    }

    #[test]
    fn flags_that_nobody_reads_are_not_computed() {
        assert_eq!(kept(&[Pure::Add, Pure::Sub, Pure::Xor]), 1);
        // These leave the carry flag alone, or all flags if the count is 0.
        assert_eq!(kept(&[Pure::Xor, Pure::Add, Pure::Inc]), 2);
        assert_eq!(kept(&[Pure::Xor, Pure::Add, Pure::Dec, Pure::Shl]), 3);
    }
}
