//! Breadth-first exploration of every reachable state.

use super::system::key::Keys;
use super::system::{Action, Setup, System, Violation};
use std::collections::BTreeMap;
use std::fmt::{self, Display};

/// What a complete exploration has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exploration {
    /// States, mirror images counted once.
    pub states: usize,
    /// Transitions out of them.
    pub transitions: u64,
    /// Steps to the state that is farthest from the beginning.
    pub depth: usize,
    /// States in which nothing is in flight, blocked or buffered.
    pub at_rest: usize,
}

/// A state that must not be, and how to get there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What is wrong.
    pub violation: Violation,
    /// What happened, from the beginning on: a shortest way.
    pub path: Vec<Action>,
}

impl Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, after:", self.violation)?;
        self.path
            .iter()
            .enumerate()
            .try_for_each(|(n, action)| writeln!(f, "{:4}. {action}", n + 1))
    }
}

impl std::error::Error for Found {}

struct Explorer<'a> {
    setup: &'a Setup,
    keys: Keys,
    known: BTreeMap<u128, u32>,
    /// By state: the one from which it was reached first, and by what.
    origins: Vec<(u32, Action)>,
    /// Transitions (to, from) that begin no new operation.
    progress: Vec<(u32, u32)>,
    at_rest: Vec<u32>,
    transitions: u64,
}

/// Explores everything that `setup` can reach. `level` is told, after each step from the beginning,
/// how many states there are.
///
/// # Errors
/// The first violation found, with a shortest way to it.
pub fn explore(
    setup: &Setup,
    mut level: impl FnMut(usize, usize),
) -> Result<Exploration, Box<Found>> {
    let topology = setup.topology();
    let first = System::new(setup);
    let keys = Keys::new(setup);
    let mut explorer = Explorer {
        setup,
        known: BTreeMap::from([(keys.of(&first), 0)]),
        keys,
        origins: vec![(0, Action::Up(sim_x86::ids::CoreId(0)))],
        progress: Vec::new(),
        at_rest: vec![0],
        transitions: 0,
    };
    let mut frontier = vec![(0, first)];
    let mut depth = 0;
    loop {
        let mut next = Vec::new();
        for (index, system) in frontier {
            explorer.expand(index, &system, &topology, &mut next)?;
        }
        if next.is_empty() {
            break;
        }
        depth += 1;
        frontier = next;
        level(depth, explorer.origins.len());
    }
    explorer.check_rest_is_reachable()?;
    Ok(Exploration {
        states: explorer.origins.len(),
        transitions: explorer.transitions,
        depth,
        at_rest: explorer.at_rest.len(),
    })
}

impl Explorer<'_> {
    fn expand(
        &mut self,
        index: u32,
        system: &System,
        topology: &sim_x86::spec::Topology,
        next: &mut Vec<(u32, System)>,
    ) -> Result<(), Box<Found>> {
        let actions = system.actions(self.setup);
        let mut stuck = true;
        for action in actions {
            self.transitions += 1;
            let begins = matches!(action, Action::Issue(..));
            stuck &= begins;
            let after = system.after(action, self.setup);
            let after = after.map_err(|violation| self.found(violation, index, Some(action)))?;
            let key = self.keys.of(&after);
            let to = match self.known.get(&key) {
                Some(&to) => to,
                None => {
                    let checked = after.check(topology);
                    checked.map_err(|violation| self.found(violation, index, Some(action)))?;
                    let to = u32::try_from(self.origins.len()).expect("fewer than 2^32 states");
                    self.known.insert(key, to);
                    self.origins.push((index, action));
                    if after.at_rest() {
                        self.at_rest.push(to);
                    }
                    next.push((to, after));
                    to
                }
            };
            if !begins && to != index {
                self.progress.push((to, index));
            }
        }
        if stuck && !system.at_rest() {
            return Err(self.found(Violation::Deadlock, index, None));
        }
        Ok(())
    }

    fn found(&self, violation: Violation, state: u32, last: Option<Action>) -> Box<Found> {
        let mut path: Vec<Action> = last.into_iter().collect();
        let mut at = state;
        while at != 0 {
            let (from, action) = self.origins[at as usize];
            path.push(action);
            at = from;
        }
        path.reverse();
        Box::new(Found { violation, path })
    }

    /// From every state, rest can be reached without beginning anything new.
    fn check_rest_is_reachable(&mut self) -> Result<(), Box<Found>> {
        let mut reaches = vec![false; self.origins.len()];
        self.progress.sort_unstable();
        let mut open = self.at_rest.clone();
        open.iter().for_each(|&state| reaches[state as usize] = true);
        while let Some(state) = open.pop() {
            let first = self.progress.partition_point(|&(to, _)| to < state);
            for &(_, from) in self.progress[first..].iter().take_while(|&&(to, _)| to == state) {
                if !std::mem::replace(&mut reaches[from as usize], true) {
                    open.push(from);
                }
            }
        }
        match reaches.iter().position(|&reached| !reached) {
            None => Ok(()),
            Some(state) => Err(self.found(Violation::Livelock, state as u32, None)),
        }
    }
}
