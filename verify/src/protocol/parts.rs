//! The parts of which states consist, each computed once.
//!
//! A state of the machine is one state of each core and one of the home agent. Of each part there
//! are few different ones; what an event makes of a part is computed by the real code the first
//! time, and looked up from then on. A part is known by a handle: its class, which stands for all
//! its mirror images, and which of the images it is.

use super::system::core_side::{CoreEvent, CoreSide, Effect};
use super::system::home_side::{Arrival, HomeEvent, HomeSide, Names};
use super::system::{Action, Issue, Setup, Violation};
use sim_x86::ids::{CoreId, LineAddr};
use sim_x86::machine::invariants::check_line;
use sim_x86::mem::cache::LineState;
use sim_x86::spec::Topology;
use std::collections::BTreeMap;

/// Classes of parts by their image.
#[derive(Debug, Default)]
struct Classes(BTreeMap<Vec<u8>, u32>);

/// A part as one of the mirror images of its class.
struct Classified {
    image: Vec<u8>,
    names: Names,
    /// Names under which the part is its own mirror image.
    symmetric: Vec<Names>,
}

fn classify(mirrors: &[Names], image: impl Fn(Names) -> Vec<u8>) -> Classified {
    let mut images: Vec<(Vec<u8>, Names)> = mirrors.iter().map(|&m| (image(m), m)).collect();
    let same = images[0].0.clone();
    let symmetric = images.iter().filter(|(image, _)| *image == same).map(|&(_, m)| m).collect();
    images.sort_unstable();
    let (image, names) = images.swap_remove(0);
    Classified { image, names, symmetric }
}

/// A class of core states, and everything that is known of it.
#[derive(Debug)]
struct CoreClass {
    side: CoreSide,
    /// From the names in `side` to those of the class.
    names: Names,
    symmetric: bool,
    /// What it may do, in both images.
    views: [CoreView; 2],
    after: Vec<Option<(u32, Effect)>>,
}

/// A core as one of its mirror images.
#[derive(Clone, Debug)]
pub(crate) struct CoreView {
    /// What it may do by itself, but begin something.
    pub(crate) goes_on: Vec<CoreEvent>,
    /// What it may begin.
    pub(crate) begins: Vec<CoreEvent>,
    /// State of each line.
    pub(crate) lines: [LineState; 2],
    /// Lines that a locked operation holds.
    pub(crate) holds: [bool; 2],
    /// The line of a locked operation that is not over.
    pub(crate) locked: Option<LineAddr>,
    pub(crate) stale: Option<LineAddr>,
    pub(crate) in_progress: u8,
    pub(crate) at_rest: bool,
}

/// A class of states of the home agent.
#[derive(Debug)]
struct HomeClass {
    side: HomeSide,
    names: Names,
    /// By image: the first image that is equal to it.
    normal: [u8; 4],
    arrivals: [Vec<Arrival>; 4],
    quiet: bool,
    after: Vec<u32>,
    /// By line: which states of that line in the cores have been found right (a bit for each).
    right: [u64; 2],
}

/// No handle.
const NONE: u32 = u32::MAX;

/// All parts met so far.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    setup: &'a Setup,
    /// Each line has a part of the home agent for itself, in which it has no other name.
    apart: bool,
    topology: Topology,
    mirrors: Vec<Names>,
    cores: Vec<CoreClass>,
    core_names: Classes,
    homes: Vec<HomeClass>,
    home_names: Classes,
}

impl<'a> Parts<'a> {
    pub(crate) fn new(setup: &'a Setup, apart: bool) -> Self {
        let cores_alike = setup.cores > 2;
        // An operation may treat the lines in order.
        let lines_alike = setup.lines > 1 && !setup.issues.contains(&Issue::SplitRmw);
        let may =
            |&names: &Names| (cores_alike || names.0 & 1 == 0) && (lines_alike || names.0 & 2 == 0);
        Parts {
            setup,
            apart,
            topology: setup.topology(),
            mirrors: (0..4).map(Names).filter(may).collect(),
            cores: Vec::new(),
            core_names: Classes::default(),
            homes: Vec::new(),
            home_names: Classes::default(),
        }
    }

    /// Mirror images under which the protocol is the same.
    pub(crate) fn mirrors(&self) -> &[Names] {
        &self.mirrors
    }

    /// Classes of core states and of states of the home agent.
    pub(crate) fn classes(&self) -> [usize; 2] {
        [self.cores.len(), self.homes.len()]
    }

    /// The handle of a core.
    pub(crate) fn core(&mut self, side: CoreSide) -> u32 {
        // A core has no part in the names of cores.
        let mirrors: Vec<Names> = self.mirrors.iter().copied().filter(|m| m.0 & 1 == 0).collect();
        let fits = self.setup.fits_cores();
        let found = classify(&mirrors, |names| side.image(fits, |line| names.line(line)));
        let class = match self.core_names.0.get(&found.image) {
            Some(&class) => class,
            None => {
                let class = self.cores.len() as u32;
                self.core_names.0.insert(found.image, class);
                let views = [Names::SAME, Names(2)].map(|names| self.view(&side, names));
                self.cores.push(CoreClass {
                    views,
                    side,
                    names: found.names,
                    symmetric: found.symmetric.len() > 1,
                    after: vec![None; CoreEvent::COUNT],
                });
                class
            }
        };
        let rep = &self.cores[class as usize];
        let mirrored = !rep.symmetric && rep.names != found.names;
        class << 1 | u32::from(mirrored)
    }

    fn view(&self, side: &CoreSide, names: Names) -> CoreView {
        let mut goes_on = Vec::new();
        let mut may = |possible: bool, event| goes_on.extend(possible.then_some(event));
        may(side.locked.is_some(), CoreEvent::Unlock);
        may(!side.up.is_empty(), CoreEvent::Send);
        may(side.can_commit(), CoreEvent::Commit);
        may(side.awake(), CoreEvent::Retry);
        let mut begins = Vec::new();
        for &issue in self.setup.issues.iter().filter(|_| side.idle()) {
            let lines = if issue == Issue::SplitRmw { 1 } else { self.setup.lines };
            let possible = (0..lines).filter(|_| side.can_issue(issue, self.setup.stores));
            begins.extend(possible.map(|line| CoreEvent::Issue(issue, LineAddr(line))));
        }
        let of = |line| names.line(LineAddr(line));
        CoreView {
            goes_on,
            begins,
            lines: [0, 1].map(|line| side.caches.state(of(line))),
            holds: [0, 1].map(|line| side.holds(of(line))),
            locked: side.locked.map(|line| names.line(line)),
            stale: side.stale_copy().map(|line| names.line(line)),
            in_progress: side.in_progress() as u8,
            at_rest: side.at_rest(),
        }
    }

    /// What there is to know of a core.
    #[inline]
    pub(crate) fn core_view(&self, handle: u32) -> &CoreView {
        &self.cores[(handle >> 1) as usize].views[(handle & 1) as usize]
    }

    /// The core with other names for the lines.
    #[inline]
    pub(crate) fn core_mirrored(&self, handle: u32, names: Names) -> u32 {
        let swap = names.0 & 2 != 0 && !self.cores[(handle >> 1) as usize].symmetric;
        handle ^ u32::from(swap)
    }

    /// The core after `event`.
    pub(crate) fn core_after(&mut self, handle: u32, event: CoreEvent) -> (u32, Effect) {
        let names = Names((handle as u8 & 1) << 1);
        let class = (handle >> 1) as usize;
        let inside = event.renamed(|line| names.line(line));
        let code = inside.code();
        let (next, effect) = match self.cores[class].after[code] {
            Some(known) => known,
            None => {
                let (side, effect) = self.cores[class].side.after(inside);
                let known = (self.core(side), effect);
                self.cores[class].after[code] = Some(known);
                known
            }
        };
        (self.core_mirrored(next, names), effect.renamed(|line| names.line(line)))
    }

    /// The handle of a home agent.
    pub(crate) fn home(&mut self, side: HomeSide) -> u32 {
        let known = |names: &Names| !self.apart || names.0 & 2 == 0;
        let mirrors: Vec<Names> = self.mirrors.iter().copied().filter(known).collect();
        let found = classify(&mirrors, |names| side.image(names));
        let class = match self.home_names.0.get(&found.image) {
            Some(&class) => class,
            None => {
                let class = self.homes.len() as u32;
                self.home_names.0.insert(found.image, class);
                let mut normal = [0, 1, 2, 3];
                for image in 0..4 {
                    let equal = found.symmetric.iter().map(|&same| same.and(Names(image)).0);
                    normal[usize::from(image)] = equal.min().unwrap_or(image);
                }
                self.homes.push(HomeClass {
                    names: found.names,
                    normal,
                    arrivals: [0, 1, 2, 3].map(|names| side.arrivals(Names(names))),
                    quiet: side.quiet(),
                    after: vec![NONE; HomeEvent::COUNT],
                    right: [0; 2],
                    side,
                });
                class
            }
        };
        let rep = &self.homes[class as usize];
        let image = rep.normal[usize::from(rep.names.and(found.names).0)];
        class << 2 | u32::from(image)
    }

    /// The messages on their way.
    #[inline]
    pub(crate) fn arrivals(&self, handle: u32) -> &[Arrival] {
        &self.homes[(handle >> 2) as usize].arrivals[(handle & 3) as usize]
    }

    /// True if nothing is in flight.
    #[inline]
    pub(crate) fn quiet(&self, handle: u32) -> bool {
        self.homes[(handle >> 2) as usize].quiet
    }

    /// The home agent with other names.
    #[inline]
    pub(crate) fn home_mirrored(&self, handle: u32, names: Names) -> u32 {
        let image = (handle & 3) as u8 ^ names.0;
        let class = handle >> 2;
        class << 2 | u32::from(self.homes[class as usize].normal[usize::from(image)])
    }

    /// The home agent after `event`.
    pub(crate) fn home_after(&mut self, handle: u32, event: HomeEvent) -> u32 {
        let names = Names(handle as u8 & 3);
        let class = (handle >> 2) as usize;
        let inside = event.renamed(names);
        let code = inside.code();
        let mut next = self.homes[class].after[code];
        if next == NONE {
            let side = self.homes[class].side.after(inside);
            next = self.home(side);
            self.homes[class].after[code] = next;
        }
        self.home_mirrored(next, names)
    }

    /// Checks `line`, which the cores hold in these states.
    ///
    /// # Errors
    /// A broken invariant.
    pub(crate) fn check_line(
        &mut self,
        handle: u32,
        line: LineAddr,
        states: &[LineState],
    ) -> Result<(), Violation> {
        let names = Names(handle as u8 & 3);
        let class = &mut self.homes[(handle >> 2) as usize];
        let inside = names.line(line);
        let mut bit = 0;
        let mut holders = Vec::new();
        for (id, &state) in states.iter().enumerate() {
            let core = names.core(CoreId(id as u16));
            bit |= (state as u32) << (2 * core.0);
            if state != LineState::Invalid {
                holders.push((core, state));
            }
        }
        let right = &mut class.right[inside.0 as usize];
        if *right & 1 << bit == 0 {
            check_line(&self.topology, &class.side.home, inside, &holders)?;
            *right |= 1 << bit;
        }
        Ok(())
    }

    /// Checks what must hold of a core for itself.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn check_core(&self, id: CoreId, handle: u32) -> Result<(), Violation> {
        use sim_x86::machine::invariants::Broken;
        if let Some(line) = self.core_view(handle).stale {
            return Err(Violation::Stale { core: id, line: line.0 });
        }
        let class = &self.cores[(handle >> 1) as usize];
        match class.side.caches.not_included().first() {
            None => Ok(()),
            Some(line) => Err(Broken::PrivateInclusion { line: line.0, core: id }.into()),
        }
    }
}

impl CoreEvent {
    /// The same as an action of `core`; `None` for what others do to it.
    pub(crate) fn action(self, core: CoreId) -> Option<Action> {
        match self {
            CoreEvent::Issue(issue, line) => Some(Action::Issue(core, issue, line)),
            CoreEvent::Retry => Some(Action::Retry(core)),
            CoreEvent::Commit => Some(Action::Commit(core)),
            CoreEvent::Unlock => Some(Action::Unlock(core)),
            CoreEvent::Send => Some(Action::Up(core)),
            CoreEvent::Probe(..) | CoreEvent::Fill(..) | CoreEvent::Old(_) => None,
        }
    }
}
