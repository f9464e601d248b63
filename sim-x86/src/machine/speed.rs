//! The speed-ups: which are on, and one by one for proofs that none of them changes a result.

/// Which exact speed-ups are on. None of them changes a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    /// Let cores run ahead of each other within the least cross-core latency.
    pub run_ahead: bool,
    /// Compute loops that only wait instead of executing them.
    pub skip_loops: bool,
    /// Replay stretches of code that were executed before.
    pub replay: bool,
    /// Let the event that takes a waiting core's line, or brings it, carry the core on.
    pub carry: bool,
}

impl Default for Speed {
    fn default() -> Self {
        Speed { run_ahead: true, skip_loops: true, replay: true, carry: true }
    }
}

impl Speed {
    /// Every instruction of every core, in lockstep by cycle.
    #[must_use]
    pub fn exact_steps() -> Self {
        Speed { run_ahead: false, skip_loops: false, replay: false, carry: false }
    }

    /// Settings to compare, by name: everything on first, then each speed-up switched off alone,
    /// and all of them switched off together.
    #[must_use]
    pub fn variants() -> Vec<(&'static str, Speed)> {
        let all = Speed::default();
        // All by name, so that a new speed-up cannot be forgotten below.
        let Speed { run_ahead: _, skip_loops: _, replay: _, carry: _ } = all;
        vec![
            ("all on", all),
            ("run_ahead off", Speed { run_ahead: false, ..all }),
            ("skip_loops off", Speed { skip_loops: false, ..all }),
            ("replay off", Speed { replay: false, ..all }),
            ("carry off", Speed { carry: false, ..all }),
            ("all off", Speed::exact_steps()),
        ]
    }
}
