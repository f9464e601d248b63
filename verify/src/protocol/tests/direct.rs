//! The same machine without any reduction: no part is looked up, no mirror image is left out, and
//! every detail makes a state another one.

use crate::protocol::state::Machine;
use crate::protocol::system::core_side::{CoreEvent, CoreSide};
use crate::protocol::system::home_side::{HomeEvent, HomeSide, Names};
use crate::protocol::system::{Action, Down, Issue, Setup, Up};
use sha2::{Digest, Sha256};
use sim_x86::ids::CoreId;
use sim_x86::mem::cache::{LineState, Probed};
use std::collections::BTreeSet;

#[derive(Clone, Debug)]
struct Plain {
    cores: Vec<CoreSide>,
    home: HomeSide,
}

/// Explores everything; returns how many states there are, and how many reduced ones they are.
pub(super) fn explore(setup: &Setup) -> (usize, usize) {
    let spec = setup.spec();
    let core = CoreSide::new(&spec.memory, setup.lines, setup.mutation);
    let first = Plain {
        cores: vec![core; usize::from(setup.cores)],
        home: HomeSide::new(&spec, setup.mutation),
    };
    let mut machine = Machine::with_homes(setup, false);
    let mut known = BTreeSet::from([first.key()]);
    let mut images = BTreeSet::new();
    let mut open = vec![first];
    let mut actions = Vec::new();
    while let Some(plain) = open.pop() {
        let state = machine.state_of(&plain.cores, &plain.home);
        images.insert(machine.canonical(state));
        machine.actions(state, &mut actions);
        assert_eq!(actions.len(), plain.possible(setup), "{plain:?}: {actions:?}");
        for &action in &actions {
            let next = plain.after(action);
            let reduced = machine.after(state, action).expect("a right protocol");
            let reduced = machine.canonical(reduced);
            let image = machine.state_of(&next.cores, &next.home);
            assert_eq!(machine.canonical(image), reduced, "{action:?} in {plain:?}");
            if known.insert(next.key()) {
                open.push(next);
            }
        }
    }
    (known.len(), images.len())
}

impl Plain {
    fn key(&self) -> [u8; 32] {
        let contents: Vec<_> = self.cores.iter().map(|core| core.caches.contents()).collect();
        let home = self.home.detail();
        Sha256::digest(format!("{:?} {contents:?} {home}", self.cores)).into()
    }

    /// How many things may happen.
    fn possible(&self, setup: &Setup) -> usize {
        let in_progress: usize = self.cores.iter().map(CoreSide::in_progress).sum();
        let of_core = |core: &CoreSide| {
            let mut count = usize::from(core.awake()) + usize::from(core.can_commit());
            count += usize::from(core.locked.is_some()) + usize::from(!core.up.is_empty());
            for &issue in setup.issues {
                let begins = core.idle() && in_progress < setup.in_progress;
                if begins && core.can_issue(issue, setup.stores) {
                    let ordered = issue == Issue::SplitRmw;
                    count += if ordered { 1 } else { setup.lines as usize };
                }
            }
            count
        };
        let held = |down: Down| match down {
            Down::Probe(core, line) => self.cores[core.index()].holds(line),
            Down::Fill(..) | Down::Again(..) => false,
        };
        let arrivals = self.home.arrivals(Names::SAME);
        let arriving = arrivals.iter().filter(|arrival| !held(arrival.down)).count();
        self.cores.iter().map(of_core).sum::<usize>() + arriving
    }

    fn after(&self, action: Action) -> Plain {
        let mut next = self.clone();
        match action {
            Action::Issue(core, issue, line) => next.act(core, CoreEvent::Issue(issue, line)),
            Action::Retry(core) => next.act(core, CoreEvent::Retry),
            Action::Commit(core) => next.act(core, CoreEvent::Commit),
            Action::Unlock(core) => next.act(core, CoreEvent::Unlock),
            Action::Up(core) => next.up(core),
            Action::Down(down) => next.down(down),
        }
        next
    }

    fn act(&mut self, by: CoreId, event: CoreEvent) {
        let (core, effect) = self.cores[by.index()].after(event);
        self.cores[by.index()] = core;
        for line in effect.written.into_iter().flatten() {
            for other in (0..self.cores.len()).filter(|&other| other != by.index()) {
                assert_ne!(self.cores[other].locked, Some(line));
                assert_eq!(self.cores[other].caches.state(line), LineState::Invalid);
            }
        }
    }

    fn up(&mut self, id: CoreId) {
        let (core, effect) = self.cores[id.index()].after(CoreEvent::Send);
        self.cores[id.index()] = core;
        self.home = self.home.after(match effect.sent.expect("a message") {
            Up::Request(line, want) => HomeEvent::Request(id, want, line),
            Up::WriteBack(line) => HomeEvent::WriteBack(id, line),
        });
    }

    fn down(&mut self, down: Down) {
        let arrivals = self.home.arrivals(Names::SAME);
        let arrival = arrivals.iter().find(|arrival| arrival.down == down).expect("on its way");
        let event = match down {
            Down::Probe(id, line) => {
                let found = self.receive(id, CoreEvent::Probe(line, arrival.state));
                HomeEvent::Probed(id, line, found)
            }
            Down::Fill(id, line) => {
                self.receive(id, CoreEvent::Fill(line, arrival.state, arrival.want));
                HomeEvent::Filled(id, line)
            }
            Down::Again(id, want, line) => HomeEvent::Again(id, want, line),
        };
        self.home = self.home.after(event);
    }

    fn receive(&mut self, id: CoreId, event: CoreEvent) -> Probed {
        let (core, effect) = self.cores[id.index()].after(event);
        self.cores[id.index()] = core;
        effect.found
    }
}
