//! The speed-ups, one by one: for proofs that none of them changes a result.

use super::Speed;

impl Speed {
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
