//! States of the whole machine, and what can happen in them.

use super::parts::Parts;
use super::system::core_side::{CoreEvent, CoreSide};
use super::system::home_side::{HomeEvent, HomeSide, Names};
use super::system::{Action, Down, Setup, Up, Violation};
use sim_x86::ids::{CoreId, LineAddr};
use sim_x86::mem::cache::LineState;

/// Most cores, and most lines.
const CORES: usize = 3;
const LINES: usize = 2;

/// The machine between two things that happen: handles of its parts. Where an L3 has room for all
/// lines, requests for different lines have nothing to do with each other, and each line has a part
/// of the home agent for itself, in which it is called 0; elsewhere the first is for all lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    cores: [u32; CORES],
    homes: [u32; LINES],
}

/// Bits for the handle of a core. That of a home agent has 32.
const CORE_BITS: usize = 21;

impl State {
    /// All of it in 16 bytes: nothing is lost.
    pub(crate) fn pack(self) -> u128 {
        let mut packed = 0;
        for core in self.cores {
            assert!(core >> CORE_BITS == 0, "fewer than a million states of a core");
            packed = packed << CORE_BITS | u128::from(core);
        }
        self.homes.iter().fold(packed, |packed, &home| packed << 32 | u128::from(home))
    }

    pub(crate) fn unpack(packed: u128) -> State {
        let core = |n: usize| {
            let shift = 64 + CORE_BITS * (CORES - 1 - n);
            (packed >> shift) as u32 & ((1 << CORE_BITS) - 1)
        };
        State { cores: [core(0), core(1), core(2)], homes: [(packed >> 32) as u32, packed as u32] }
    }
}

/// What explores: the parts, and how they play together.
#[derive(Debug)]
pub(crate) struct Machine<'a> {
    setup: &'a Setup,
    pub(crate) parts: Parts<'a>,
    /// Each line has a part of the home agent for itself.
    apart: bool,
}

impl<'a> Machine<'a> {
    pub(crate) fn new(setup: &'a Setup) -> Self {
        Machine::with_homes(setup, setup.fits_home())
    }

    /// With a part of the home agent for each line, or one for all.
    pub(crate) fn with_homes(setup: &'a Setup, apart: bool) -> Self {
        assert!(usize::from(setup.cores) <= CORES && setup.lines as usize <= LINES);
        Machine { setup, parts: Parts::new(setup, apart), apart }
    }

    /// A state of these parts.
    #[cfg(test)]
    pub(crate) fn state_of(&mut self, cores: &[CoreSide], home: &HomeSide) -> State {
        assert!(!self.apart);
        let mut state = self.first();
        for (part, core) in state.cores.iter_mut().zip(cores) {
            *part = self.parts.core(core.clone());
        }
        state.homes[0] = self.parts.home(home.clone());
        state
    }

    /// Nothing cached, nothing in flight.
    pub(crate) fn first(&mut self) -> State {
        let spec = self.setup.spec();
        let core = CoreSide::new(&spec.memory, self.setup.lines, self.setup.mutation);
        let core = self.parts.core(core);
        let home = self.parts.home(HomeSide::new(&spec, self.setup.mutation));
        State { cores: [core; CORES], homes: [home; LINES] }
    }

    fn ids(&self) -> impl Iterator<Item = CoreId> + use<> {
        (0..self.setup.cores).map(CoreId)
    }

    /// Which part of the home agent serves `line`, and what the line is called in it.
    fn place(&self, line: LineAddr) -> (usize, LineAddr) {
        if self.apart { (line.0 as usize, LineAddr(0)) } else { (0, line) }
    }

    /// The smallest of the mirror images.
    pub(crate) fn canonical(&self, state: State) -> u128 {
        let images = self.parts.mirrors().iter().map(|&names| self.mirrored(state, names).pack());
        images.min().expect("there is always the identity")
    }

    fn mirrored(&self, state: State, names: Names) -> State {
        if names == Names::SAME {
            return state;
        }
        let State { mut cores, mut homes } = state;
        cores = cores.map(|core| self.parts.core_mirrored(core, names));
        homes = homes.map(|home| self.home_mirrored(home, names));
        if names.0 & 1 != 0 {
            cores.swap(0, 1);
        }
        if names.0 & 2 != 0 && self.apart {
            homes.swap(0, 1);
        }
        State { cores, homes }
    }

    fn home_mirrored(&self, home: u32, names: Names) -> u32 {
        let inside = if self.apart { Names(names.0 & 1) } else { names };
        self.parts.home_mirrored(home, inside)
    }

    /// Everything that may happen next, what begins something last. Returns how many do not.
    pub(crate) fn actions(&self, state: State, actions: &mut Vec<Action>) -> usize {
        actions.clear();
        let view = |id: CoreId| self.parts.core_view(state.cores[id.index()]);
        for id in self.ids() {
            actions.extend(view(id).goes_on.iter().filter_map(|event| event.action(id)));
        }
        for (part, &home) in state.homes.iter().enumerate().take(self.home_parts()) {
            for arrival in self.parts.arrivals(home) {
                let down = self.down_named(arrival.down, part);
                let held = match down {
                    Down::Probe(core, line) => view(core).holds[line.0 as usize],
                    Down::Fill(..) | Down::Again(..) => false,
                };
                actions.extend((!held).then_some(Action::Down(down)));
            }
        }
        let going_on = actions.len();
        let in_progress: usize = self.ids().map(|id| usize::from(view(id).in_progress)).sum();
        if in_progress < self.setup.in_progress {
            for id in self.ids() {
                actions.extend(view(id).begins.iter().filter_map(|event| event.action(id)));
            }
        }
        going_on
    }

    fn home_parts(&self) -> usize {
        if self.apart { self.setup.lines as usize } else { 1 }
    }

    /// A message of a part of the home agent, with the line's real name.
    fn down_named(&self, down: Down, part: usize) -> Down {
        if !self.apart {
            return down;
        }
        let line = LineAddr(part as u64);
        match down {
            Down::Probe(core, _) => Down::Probe(core, line),
            Down::Fill(core, _) => Down::Fill(core, line),
            Down::Again(core, want, _) => Down::Again(core, want, line),
        }
    }

    /// The state after `action`.
    ///
    /// # Errors
    /// What the action itself did wrong.
    pub(crate) fn after(&mut self, state: State, action: Action) -> Result<State, Violation> {
        let mut next = state;
        match action {
            Action::Issue(core, issue, line) => {
                self.act(&mut next, core, CoreEvent::Issue(issue, line))?;
            }
            Action::Retry(core) => self.act(&mut next, core, CoreEvent::Retry)?,
            Action::Commit(core) => self.act(&mut next, core, CoreEvent::Commit)?,
            Action::Unlock(core) => self.act(&mut next, core, CoreEvent::Unlock)?,
            Action::Up(core) => self.up(&mut next, core),
            Action::Down(down) => self.down(&mut next, down),
        }
        Ok(next)
    }

    fn act(&mut self, state: &mut State, by: CoreId, event: CoreEvent) -> Result<(), Violation> {
        let (core, effect) = self.parts.core_after(state.cores[by.index()], event);
        state.cores[by.index()] = core;
        for line in effect.written.into_iter().flatten() {
            self.written(state, by, line)?;
        }
        Ok(())
    }

    /// `by` has written `line`: every other copy is of an older version from now on.
    fn written(&mut self, state: &mut State, by: CoreId, line: LineAddr) -> Result<(), Violation> {
        for id in self.ids().filter(|&id| id != by) {
            let core = &mut state.cores[id.index()];
            let view = self.parts.core_view(*core);
            if view.locked == Some(line) {
                return Err(Violation::NotAtomic { core: id, line: line.0 });
            }
            if view.lines[line.0 as usize] != LineState::Invalid {
                (*core, _) = self.parts.core_after(*core, CoreEvent::Old(line));
            }
        }
        Ok(())
    }

    fn home(&mut self, state: &mut State, line: LineAddr, event: impl Fn(LineAddr) -> HomeEvent) {
        let (part, line) = self.place(line);
        state.homes[part] = self.parts.home_after(state.homes[part], event(line));
    }

    fn up(&mut self, state: &mut State, id: CoreId) {
        let (core, effect) = self.parts.core_after(state.cores[id.index()], CoreEvent::Send);
        state.cores[id.index()] = core;
        match effect.sent.expect("it has sent a message") {
            Up::Request(line, want) => {
                self.home(state, line, |line| HomeEvent::Request(id, want, line));
            }
            Up::WriteBack(line) => self.home(state, line, |line| HomeEvent::WriteBack(id, line)),
        }
    }

    fn down(&mut self, state: &mut State, down: Down) {
        let (id, line) = match down {
            Down::Probe(core, line) | Down::Fill(core, line) => (core, line),
            Down::Again(core, want, line) => {
                return self.home(state, line, |line| HomeEvent::Again(core, want, line));
            }
        };
        let part = self.place(line).0;
        let mut arrivals = self.parts.arrivals(state.homes[part]).iter();
        let arrival = arrivals.find(|arrival| self.down_named(arrival.down, part) == down);
        let arrival = *arrival.expect("a message on its way");
        let core = &mut state.cores[id.index()];
        if matches!(down, Down::Probe(..)) {
            let effect;
            (*core, effect) = self.parts.core_after(*core, CoreEvent::Probe(line, arrival.state));
            self.home(state, line, |line| HomeEvent::Probed(id, line, effect.found));
        } else {
            let event = CoreEvent::Fill(line, arrival.state, arrival.want);
            (*core, _) = self.parts.core_after(*core, event);
            self.home(state, line, |line| HomeEvent::Filled(id, line));
        }
    }

    /// True if nothing is in flight, blocked or buffered.
    pub(crate) fn at_rest(&self, state: State) -> bool {
        let homes = &state.homes[..self.home_parts()];
        homes.iter().all(|&home| self.parts.quiet(home))
            && self.ids().all(|id| self.parts.core_view(state.cores[id.index()]).at_rest)
    }

    /// Checks what must hold of every state.
    ///
    /// # Errors
    /// The first violation.
    pub(crate) fn check(&mut self, state: State) -> Result<(), Violation> {
        for id in self.ids() {
            self.parts.check_core(id, state.cores[id.index()])?;
        }
        for line in (0..self.setup.lines).map(LineAddr) {
            let (part, inside) = self.place(line);
            let of = |core: u32| self.parts.core_view(core).lines[line.0 as usize];
            let states = state.cores.map(of);
            self.parts.check_line(state.homes[part], inside, &states)?;
        }
        Ok(())
    }
}
