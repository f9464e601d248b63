//! Breadth-first exploration of every reachable state.

use super::state::{Machine, State};
use super::system::{Action, Setup, Violation};
use super::table::Table;
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
    /// Different states of one core, and of the home agent (or of its part for one line).
    pub parts: [usize; 2],
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
    machine: Machine<'a>,
    known: Table,
    /// By state: the one from which it was reached first.
    origins: Vec<u32>,
    at_rest: usize,
    transitions: u64,
    /// Used again and again.
    actions: Vec<Action>,
}

/// Explores everything that `setup` can reach. `level` is told, after each step from the beginning,
/// how many states there are.
///
/// # Errors
/// The first violation found, with a shortest way to it.
pub fn explore(setup: &Setup, level: impl FnMut(usize, usize)) -> Result<Exploration, Box<Found>> {
    explore_machine(Machine::new(setup), level)
}

/// As [`explore`].
pub(super) fn explore_machine(
    mut machine: Machine<'_>,
    mut level: impl FnMut(usize, usize),
) -> Result<Exploration, Box<Found>> {
    let first = machine.first();
    let mut known = Table::new();
    known.insert(machine.canonical(first));
    let mut explorer = Explorer {
        machine,
        known,
        origins: vec![0],
        at_rest: 1,
        transitions: 0,
        actions: Vec::new(),
    };
    let (mut depth, mut level_ends) = (0, 1);
    let mut index = 0;
    while index < explorer.known.len() {
        if index == level_ends {
            depth += 1;
            level_ends = explorer.known.len();
            level(depth, level_ends);
        }
        explorer.expand(index as u32)?;
        index += 1;
    }
    explorer.check_rest_is_reachable()?;
    Ok(Exploration {
        states: explorer.known.len(),
        transitions: explorer.transitions,
        depth,
        at_rest: explorer.at_rest,
        parts: explorer.machine.parts.classes(),
    })
}

impl Explorer<'_> {
    fn expand(&mut self, index: u32) -> Result<(), Box<Found>> {
        let state = State::unpack(self.known.get(index));
        let mut actions = std::mem::take(&mut self.actions);
        let going_on = self.machine.actions(state, &mut actions);
        if going_on == 0 && !self.machine.at_rest(state) {
            return Err(self.found(Violation::Deadlock, index));
        }
        self.transitions += actions.len() as u64;
        for &action in &actions {
            let after = match self.machine.after(state, action) {
                Ok(after) => after,
                Err(violation) => return Err(self.found_by(violation, index)),
            };
            let key = self.machine.canonical(after);
            if self.known.insert(key).is_some() {
                self.origins.push(index);
                if self.machine.check(after).is_err() {
                    let last = self.known.len() as u32 - 1;
                    let mut found = self.found(Violation::Deadlock, last);
                    let (end, _) = self.replay(last);
                    found.violation = self.machine.check(end).expect_err("as in its mirror image");
                    return Err(found);
                }
                self.at_rest += usize::from(self.machine.at_rest(after));
            }
        }
        self.actions = actions;
        Ok(())
    }

    /// The way to a state, cores and lines called the same all the way; and the state so reached.
    fn replay(&mut self, index: u32) -> (State, Vec<Action>) {
        let mut way = vec![];
        let mut at = index;
        while at != 0 {
            way.push(at);
            at = self.origins[at as usize];
        }
        let mut state = self.machine.first();
        let mut path = Vec::new();
        let mut actions = Vec::new();
        for &next in way.iter().rev() {
            let goal = self.known.get(next);
            self.machine.actions(state, &mut actions);
            let step = actions.iter().find_map(|&action| {
                let after = self.machine.after(state, action).ok()?;
                (self.machine.canonical(after) == goal).then_some((action, after))
            });
            let (action, after) = step.expect("a mirror image of the step that was taken");
            path.push(action);
            state = after;
        }
        (state, path)
    }

    fn found(&mut self, violation: Violation, index: u32) -> Box<Found> {
        let (_, path) = self.replay(index);
        Box::new(Found { violation, path })
    }

    /// As `found` if an action in the state did `violation`.
    fn found_by(&mut self, violation: Violation, index: u32) -> Box<Found> {
        let (state, mut path) = self.replay(index);
        let mut actions = Vec::new();
        self.machine.actions(state, &mut actions);
        let last = actions.iter().find_map(|&action| {
            let violation = self.machine.after(state, action).err()?;
            Some((action, violation))
        });
        let (action, violation) = last.unwrap_or_else(|| unreachable!("{violation} is mirrored"));
        path.push(action);
        Box::new(Found { violation, path })
    }

    /// From every state, rest can be reached without beginning anything new.
    ///
    /// From each state on, the first thing that goes on is done until a state is met from which
    /// rest is known to be reachable. Only if this leads in a circle, everything that goes on is
    /// tried.
    fn check_rest_is_reachable(&mut self) -> Result<(), Box<Found>> {
        let mut reaches = Bits::new(self.known.len());
        let mut way = Vec::new();
        for start in 0..self.known.len() as u32 {
            let mut at = start;
            way.clear();
            while !reaches.get(at) && way.len() < LONG_WAY {
                way.push(at);
                if self.machine.at_rest(State::unpack(self.known.get(at))) {
                    reaches.set(at);
                    break;
                }
                match self.goes_on_once(at) {
                    Some(next) => at = next,
                    None => break,
                }
            }
            if reaches.get(at) || self.search_rest(start, &reaches) {
                let sure = if reaches.get(at) { &way[..] } else { &way[..1] };
                sure.iter().for_each(|&state| reaches.set(state));
            } else {
                return Err(self.found(Violation::Livelock, start));
            }
        }
        Ok(())
    }

    /// The state after the first thing that goes on in a state and leads to another.
    fn goes_on_once(&mut self, index: u32) -> Option<u32> {
        let state = State::unpack(self.known.get(index));
        let mut actions = std::mem::take(&mut self.actions);
        let going_on = self.machine.actions(state, &mut actions);
        let mut next = actions[..going_on].iter().map(|&action| self.known_after(state, action));
        let next = next.find(|&next| next != index);
        self.actions = actions;
        next
    }

    /// The states after each thing that goes on in a state.
    fn goes_on(&mut self, index: u32) -> Vec<u32> {
        let state = State::unpack(self.known.get(index));
        let mut actions = Vec::new();
        let going_on = self.machine.actions(state, &mut actions);
        actions[..going_on].iter().map(|&action| self.known_after(state, action)).collect()
    }

    fn known_after(&mut self, state: State, action: Action) -> u32 {
        let after = self.machine.after(state, action).expect("explored before");
        let key = self.machine.canonical(after);
        self.known.find(key).expect("explored before")
    }

    /// True if a state that `reaches` rest can be reached from `start`.
    fn search_rest(&mut self, start: u32, reaches: &Bits) -> bool {
        let mut seen = std::collections::BTreeSet::from([start]);
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            let state = State::unpack(self.known.get(at));
            if reaches.get(at) || self.machine.at_rest(state) {
                return true;
            }
            open.extend(self.goes_on(at).into_iter().filter(|&next| seen.insert(next)));
        }
        false
    }
}

/// Steps after which a way is taken for a circle.
const LONG_WAY: usize = 300;

/// A bit for each state.
struct Bits(Vec<u64>);

impl Bits {
    fn new(count: usize) -> Self {
        Bits(vec![0; count.div_ceil(64)])
    }

    fn get(&self, index: u32) -> bool {
        self.0[index as usize / 64] >> (index % 64) & 1 != 0
    }

    fn set(&mut self, index: u32) {
        self.0[index as usize / 64] |= 1 << (index % 64);
    }
}
