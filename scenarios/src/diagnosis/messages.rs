//! What the kernel itself said, as its console lines.

use super::FindingKind;
use crate::console::ConsoleLine;
use serde::{Deserialize, Serialize};

/// Kind of a message, most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageKind {
    /// The hard-lockup detector panicked.
    HardLockup,
    /// A fault in the kernel.
    Oops,
    /// Any other panic.
    Panic,
    /// The hard-lockup detector warned.
    HardLockupWarning,
    /// The soft-lockup detector warned.
    SoftLockup,
    /// The hung-task detector warned.
    HungTask,
}

impl MessageKind {
    /// The finding it stands for.
    #[must_use]
    pub fn finding(self) -> FindingKind {
        match self {
            MessageKind::HardLockup | MessageKind::HardLockupWarning => FindingKind::HardLockup,
            MessageKind::Oops => FindingKind::Fault,
            MessageKind::Panic => FindingKind::Panic,
            MessageKind::SoftLockup => FindingKind::SoftLockup,
            MessageKind::HungTask => FindingKind::HungTask,
        }
    }

    /// In a word or two, for a mark in a picture.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            MessageKind::HardLockup | MessageKind::Panic => "panic",
            MessageKind::Oops => "oops",
            MessageKind::HardLockupWarning => "hard lockup",
            MessageKind::SoftLockup => "soft lockup",
            MessageKind::HungTask => "hung task",
        }
    }

    /// True if the kernel does not go on after it.
    #[must_use]
    pub fn is_fatal(self) -> bool {
        matches!(self, MessageKind::HardLockup | MessageKind::Oops | MessageKind::Panic)
    }
}

/// A message that matters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Kind.
    pub kind: MessageKind,
    /// When its line began.
    pub at: u64,
    /// The CPU it is about.
    pub cpu: Option<u32>,
    /// The line.
    pub text: String,
}

const PANIC: &str = "Kernel panic - not syncing: ";
const HARD: &str = "Watchdog detected hard LOCKUP on cpu ";
const SOFT: &str = "BUG: soft lockup - CPU#";
const OOPSES: [&str; 6] = [
    "BUG: unable to handle kernel",
    "general protection fault:",
    "divide error:",
    "invalid opcode:",
    "double fault:",
    "kernel BUG at ",
];

/// The messages that matter, in order; of warnings of one kind about one CPU only the first.
#[must_use]
pub fn read(console: &[ConsoleLine]) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    for line in console {
        let Some((kind, cpu)) = classify(line) else { continue };
        let repeated = |known: &Message| known.kind == kind && known.cpu == cpu;
        if !kind.is_fatal() && messages.iter().any(repeated) {
            continue;
        }
        let text = line.text.trim().to_owned();
        messages.push(Message { kind, at: line.at, cpu, text });
    }
    messages
}

/// Kind of a line and the CPU it is about.
fn classify(line: &ConsoleLine) -> Option<(MessageKind, Option<u32>)> {
    let text = line.text.as_str();
    if let Some((_, why)) = text.split_once(PANIC) {
        return Some(match why.split_once(HARD) {
            Some((_, cpu)) => (MessageKind::HardLockup, number(cpu)),
            None if why.starts_with("softlockup") => (MessageKind::SoftLockup, Some(line.cpu)),
            None if why.starts_with("hung_task") => (MessageKind::HungTask, None),
            None => (MessageKind::Panic, Some(line.cpu)),
        });
    }
    if let Some((_, cpu)) = text.split_once(HARD) {
        return Some((MessageKind::HardLockupWarning, number(cpu)));
    }
    if let Some((_, cpu)) = text.split_once(SOFT) {
        return Some((MessageKind::SoftLockup, number(cpu)));
    }
    if text.contains("INFO: task ") && text.contains(" blocked for more than ") {
        return Some((MessageKind::HungTask, None));
    }
    let oops = OOPSES.iter().any(|oops| text.contains(oops));
    oops.then_some((MessageKind::Oops, Some(line.cpu)))
}

/// The number that `text` begins with.
fn number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(lines: &[&str]) -> Vec<(MessageKind, Option<u32>)> {
        let line = |text: &&str| ConsoleLine { at: 1, cpu: 7, text: (*text).to_owned() };
        let lines: Vec<ConsoleLine> = lines.iter().map(line).collect();
        read(&lines).into_iter().map(|message| (message.kind, message.cpu)).collect()
    }

    #[test]
    fn the_kernels_lines_are_told_apart() {
        use MessageKind as M;
        let panic = "Kernel panic - not syncing: Watchdog detected hard LOCKUP on cpu 18";
        assert_eq!(kinds(&[panic]), [(M::HardLockup, Some(18))]);
        let soft = "BUG: soft lockup - CPU#3 stuck for 67s! [java:18176]";
        assert_eq!(kinds(&[soft, "text", soft]), [(M::SoftLockup, Some(3))], "told once");
        let hung = "INFO: task java:12 blocked for more than 120 seconds.";
        assert_eq!(kinds(&[hung]), [(M::HungTask, None)]);
        let oops = "BUG: unable to handle kernel NULL pointer dereference at (null)";
        let fatal = "Kernel panic - not syncing: Fatal exception in interrupt";
        assert_eq!(kinds(&[oops, fatal]), [(M::Oops, Some(7)), (M::Panic, Some(7))]);
        assert_eq!(kinds(&["all is well"]), []);
    }
}
