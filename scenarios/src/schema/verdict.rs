//! `until: …` and `expect: …`.

use super::{Decoder, devices::cpu};
use crate::diagnosis::FindingKind;
use crate::tree::{Node, Spanned, Value};
use crate::units::Duration;

/// Something that ends a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The guest has panicked.
    Panic,
    /// This long after the epoch.
    Time(Spanned<Duration>),
    /// Every task of `tasks` has come to its end.
    AllTasksDone,
    /// The guest has written to the exit port.
    Exit,
    /// A variable holds a value (any other than its first if left out).
    Written(Spanned<String>, Option<u64>),
    /// A CPU has reached a symbol.
    Reached(Spanned<String>, Option<Spanned<u64>>),
}

/// A finding that is expected.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedFinding {
    /// Its kind.
    pub kind: Spanned<FindingKind>,
    /// On this CPU.
    pub cpu: Option<Spanned<u64>>,
    /// With this lock word at the end.
    pub lock_word: Option<u32>,
    /// With this text in the panic message.
    pub text: Option<String>,
}

/// What must come out of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expect {
    /// The finding.
    pub finding: Option<ExpectedFinding>,
    /// Tasks of `tasks` that must have come to their end.
    pub tasks_done: Option<Spanned<u64>>,
    /// Texts that the console must show.
    pub console_contains: Vec<String>,
    /// Texts that the console must not show.
    pub console_lacks: Vec<String>,
    /// Variables and the values that they must have at the end.
    pub variables: Vec<(Spanned<String>, u64)>,
}

/// Findings as scenarios name them. `Oops` is the kernel's own word for a fault.
const FINDINGS: [(&str, FindingKind); 13] = [
    ("Ok", FindingKind::Ok),
    ("HardLockup", FindingKind::HardLockup),
    ("SoftLockup", FindingKind::SoftLockup),
    ("HungTask", FindingKind::HungTask),
    ("LockCorrupted", FindingKind::LockCorrupted),
    ("LostCompletion", FindingKind::LostCompletion),
    ("CommandTimeout", FindingKind::CommandTimeout),
    ("Deadlock", FindingKind::Deadlock),
    ("Fault", FindingKind::Fault),
    ("Oops", FindingKind::Fault),
    ("UnimplementedInstruction", FindingKind::UnimplementedInstruction),
    ("Panic", FindingKind::Panic),
    ("Deadline", FindingKind::Deadline),
];

/// One condition or `AnyOf([…])`.
pub(super) fn conditions(d: &mut Decoder, node: &Node) -> Option<Vec<Spanned<Condition>>> {
    if let Value::Tuple(Some(name), items) = &node.value
        && name.value == "AnyOf"
    {
        if let [list] = items.as_slice() {
            return d.list(list, "conditions", Condition::decode);
        }
        d.error(node.span, "`AnyOf` takes one list", Some("AnyOf([Panic, …])".to_owned()));
        return None;
    }
    Condition::decode(d, node).map(|condition| vec![condition])
}

impl Condition {
    fn decode(d: &mut Decoder, node: &Node) -> Option<Spanned<Condition>> {
        const NAMES: [&str; 7] =
            ["Panic", "Time", "AllTasksDone", "Exit", "Written", "Reached", "AnyOf"];
        let (name, mut f) = d.variant(node, "a condition", &NAMES)?;
        let condition = match name.value.as_str() {
            "Panic" => Some(Condition::Panic),
            "Time" => f.required(d, "time", Decoder::positive).map(Condition::Time),
            "AllTasksDone" => Some(Condition::AllTasksDone),
            "Exit" => Some(Condition::Exit),
            "Written" => {
                let variable = f.required(d, "variable", Decoder::string);
                let value = f.optional(d, "value", Decoder::word);
                variable.map(|v| Condition::Written(v, value.map(|value| value.value)))
            }
            "Reached" => {
                let symbol = f.required(d, "symbol", Decoder::string);
                let cpu = f.optional(d, "cpu", cpu);
                symbol.map(|symbol| Condition::Reached(symbol, cpu))
            }
            _ => {
                d.error(node.span, "`AnyOf` cannot be inside `AnyOf`", None);
                return None;
            }
        };
        f.finish(d);
        condition.map(|condition| Spanned::new(condition, node.span))
    }
}

impl Expect {
    pub(super) fn decode(d: &mut Decoder, node: &Node) -> Option<Expect> {
        if !matches!(node.value, Value::Struct(None, _) | Value::Unit) {
            let finding = ExpectedFinding::decode(d, node)?;
            return Some(Expect { finding: Some(finding), ..Expect::default() });
        }
        let mut f = d.structure(node, "the expectation", None)?;
        let texts = |d: &mut Decoder, n: &Node| {
            d.list(n, "texts", |d, n| d.string(n).map(|text| text.value))
        };
        let expect = Expect {
            finding: f.optional(d, "finding", ExpectedFinding::decode),
            tasks_done: f
                .optional(d, "tasks_done", |d, n| d.uint(n, "the number of tasks", 0..=100_000)),
            console_contains: f.optional(d, "console_contains", texts).unwrap_or_default(),
            console_lacks: f.optional(d, "console_lacks", texts).unwrap_or_default(),
            variables: f
                .optional(d, "variables", |d, n| {
                    d.map(n, "values", |d, name, n| Some((name.clone(), d.word(n)?.value)))
                })
                .unwrap_or_default(),
        };
        f.finish(d);
        Some(expect)
    }
}

impl ExpectedFinding {
    fn decode(d: &mut Decoder, node: &Node) -> Option<ExpectedFinding> {
        let names: Vec<&str> = FINDINGS.iter().map(|&(name, _)| name).collect();
        let (name, mut f) = d.variant(node, "a finding", &names)?;
        let kind = FINDINGS.iter().find(|(known, _)| *known == name.value)?.1;
        let mut finding = ExpectedFinding {
            kind: Spanned::new(kind, name.span),
            cpu: None,
            lock_word: None,
            text: None,
        };
        if kind == FindingKind::Panic {
            finding.text = f.optional(d, "text", Decoder::string).map(|text| text.value);
        }
        if kind != FindingKind::Ok {
            finding.cpu = f.optional(d, "cpu", cpu);
            finding.lock_word = f
                .optional(d, "lock_word", |d, n| d.uint(n, "a lock word", 0..=0xffff_ffff))
                .map(|word| word.value as u32);
        }
        f.finish(d);
        Some(finding)
    }
}
