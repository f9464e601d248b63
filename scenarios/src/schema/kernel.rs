//! `kernel: (…)`.

use super::Decoder;
use crate::tree::{Node, Spanned};
use crate::units::Duration;

/// Generation of the HBA driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Driver {
    /// Completions initialised once at load: a late `complete()` leaves `done` set.
    StaleDone,
    /// `init_completion()` after the request was posted: the bug of 2.6.32-220.el6.
    #[default]
    InitAfterPost,
    /// `init_completion()` before the request is posted: the fix.
    InitBeforePost,
}

/// How idle CPUs wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idle {
    /// `hlt`.
    #[default]
    Hlt,
    /// `monitor`, `mwait`.
    Mwait,
    /// A polling loop.
    Poll,
}

/// What a detector does when it has found something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLockup {
    /// Panic.
    #[default]
    Panic,
    /// Print a warning.
    Warn,
}

/// The lockup detectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Watchdog {
    /// Soft-lockup threshold; the timer's period is a fifth of it.
    pub thresh: Spanned<Duration>,
    /// Unhalted time between two checks for hard lockups; `thresh` if left out.
    pub nmi_period: Option<Spanned<Duration>>,
    /// True: the soft-lockup detector reports.
    pub soft: bool,
    /// True: the hard-lockup detector runs.
    pub hard: bool,
    /// What a hard lockup leads to.
    pub on_hard_lockup: OnLockup,
    /// What a soft lockup leads to.
    pub on_soft_lockup: OnLockup,
}

/// The guest kernel's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// Ticks per second.
    pub hz: Spanned<u64>,
    /// Generation of the HBA driver.
    pub driver: Driver,
    /// Lockup detectors; `None`: off.
    pub watchdog: Option<Watchdog>,
    /// Hung-task detector's timeout; `None`: off.
    pub hung_task: Option<Spanned<Duration>>,
    /// True: a hung task panics.
    pub hung_task_panic: bool,
    /// True: a panic stops the other CPUs by NMI, as with a loaded crash kernel.
    pub kdump: bool,
    /// How idle CPUs wait.
    pub idle: Idle,
    /// True: every CPU's tick is offset, as `tick_setup_sched_timer` does.
    pub skewed_ticks: bool,
}

impl Default for Watchdog {
    /// RHEL 6: 60 s, panic on hard lockups, warn on soft ones.
    fn default() -> Self {
        let thresh = Duration::Picos(60 * 1_000_000_000_000);
        Self {
            thresh: Spanned { value: thresh, ..Spanned::default() },
            nmi_period: None,
            soft: true,
            hard: true,
            on_hard_lockup: OnLockup::Panic,
            on_soft_lockup: OnLockup::Warn,
        }
    }
}

impl Default for Kernel {
    /// 2.6.32-220.el6 as configured by RHEL 6.
    fn default() -> Self {
        let timeout = Duration::Picos(120 * 1_000_000_000_000);
        Self {
            hz: Spanned { value: 1000, ..Spanned::default() },
            driver: Driver::InitAfterPost,
            watchdog: Some(Watchdog::default()),
            hung_task: Some(Spanned { value: timeout, ..Spanned::default() }),
            hung_task_panic: false,
            kdump: true,
            idle: Idle::Hlt,
            skewed_ticks: true,
        }
    }
}

const DRIVERS: [(&str, Driver); 3] = [
    ("init-after-post", Driver::InitAfterPost),
    ("init-before-post", Driver::InitBeforePost),
    ("stale-done", Driver::StaleDone),
];
const IDLES: [(&str, Idle); 3] = [("Hlt", Idle::Hlt), ("Mwait", Idle::Mwait), ("Poll", Idle::Poll)];
const REACTIONS: [(&str, OnLockup); 2] = [("Panic", OnLockup::Panic), ("Warn", OnLockup::Warn)];

impl Kernel {
    pub(super) fn decode(d: &mut Decoder, node: &Node) -> Option<Kernel> {
        let default = Kernel::default();
        let mut f = d.structure(node, "the kernel's settings", None)?;
        let mut hung_task_panic = default.hung_task_panic;
        let kernel = Kernel {
            hz: f.optional(d, "hz", |d, n| d.uint(n, "hz", 10..=10_000)).unwrap_or(default.hz),
            driver: f
                .optional(d, "driver", |d, n| d.choice(n, "a driver generation", &DRIVERS))
                .map_or(default.driver, |choice| choice.value),
            watchdog: match f.node("watchdog") {
                Some(node) if is_off(node) => None,
                Some(node) => Watchdog::decode(d, node),
                None => default.watchdog,
            },
            hung_task: match f.node("hung_task") {
                Some(node) if is_off(node) => None,
                Some(node) => hung_task(d, node, &mut hung_task_panic).or(default.hung_task),
                None => default.hung_task,
            },
            hung_task_panic,
            kdump: f.optional(d, "kdump", Decoder::bool).is_none_or(|b| b.value),
            idle: f
                .optional(d, "idle", |d, n| d.choice(n, "a way to idle", &IDLES))
                .map_or(default.idle, |choice| choice.value),
            skewed_ticks: f.optional(d, "skewed_ticks", Decoder::bool).is_none_or(|b| b.value),
        };
        f.finish(d);
        Some(Kernel { hung_task_panic, ..kernel })
    }
}

fn is_off(node: &Node) -> bool {
    matches!(&node.value, crate::tree::Value::Word(word) if word == "Off")
}

impl Watchdog {
    fn decode(d: &mut Decoder, node: &Node) -> Option<Watchdog> {
        let default = Watchdog::default();
        let mut f = d.structure(node, "the watchdog", None)?;
        let reaction = |d: &mut Decoder, n| d.choice(n, "a reaction", &REACTIONS);
        let watchdog = Watchdog {
            thresh: f.optional(d, "thresh", Decoder::positive).unwrap_or(default.thresh),
            nmi_period: f.optional(d, "nmi_period", Decoder::positive),
            soft: f.optional(d, "soft", Decoder::bool).is_none_or(|b| b.value),
            hard: f.optional(d, "hard", Decoder::bool).is_none_or(|b| b.value),
            on_hard_lockup: f
                .optional(d, "on_hard_lockup", reaction)
                .map_or(default.on_hard_lockup, |choice| choice.value),
            on_soft_lockup: f
                .optional(d, "on_soft_lockup", reaction)
                .map_or(default.on_soft_lockup, |choice| choice.value),
        };
        f.finish(d);
        Some(watchdog)
    }
}

fn hung_task(d: &mut Decoder, node: &Node, panic: &mut bool) -> Option<Spanned<Duration>> {
    let mut f = d.structure(node, "the hung-task detector", None)?;
    let timeout = f.optional(d, "timeout", Decoder::positive);
    *panic = f.optional(d, "panic", Decoder::bool).is_some_and(|b| b.value);
    f.finish(d);
    timeout
}
