//! Every final state that x86-TSO allows, by exhaustive enumeration.
//!
//! The operational model of Sewell, Sarkar, Owens, Zappa Nardelli and Myreen (x86-TSO: a rigorous
//! and usable programmer's model for x86 multiprocessors, CACM 53(7), 2010): each thread has a
//! first-in first-out buffer of stores; a load takes the youngest buffered store of its own thread
//! or else memory; a locked instruction is one step and needs an empty buffer; MFENCE waits for
//! one; LFENCE and SFENCE order nothing that the buffer leaves unordered.
//!
//! The paper knows one size of access and no line boundaries. Beyond it:
//! - A load that a buffered store covers only in part waits until the store has left the buffer
//!   (as Intel's processors do: no forwarding, Optimization Reference Manual §3.6.5).
//! - A plain access that crosses a line (SDM vol. 3A §8.1.1: not atomic) is two accesses in either
//!   order. Locked ones stay atomic (§8.1.2).
//!
//! Nothing here is shared with the simulated machine.

mod step;

use crate::condition::{State, Variable};
use crate::program::{REGISTERS, Test};
use std::collections::BTreeSet;
use step::{Code, Config};
use thiserror::Error;

/// Why a test has no set of allowed states.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// More configurations than the limit.
    #[error("more than {limit} configurations")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// A plain read-modify-write across a line.
    #[error("thread {thread}: a plain read-modify-write across a line is not modelled")]
    SplitUpdate {
        /// Whose.
        thread: usize,
    },
}

/// All allowed final states of `test`, looking at no more than `limit` configurations.
///
/// # Errors
/// If there are more, or if the test does what the model does not know.
pub fn allowed(test: &Test, limit: usize) -> Result<BTreeSet<State>, ModelError> {
    let code = Code::new(test)?;
    let start = Config::start(test, &code);
    let mut seen = BTreeSet::from([start.clone()]);
    let mut open = vec![start];
    let mut states = BTreeSet::new();
    let mut next = Vec::new();
    while let Some(config) = open.pop() {
        code.steps(&config, &mut next);
        if next.is_empty() {
            states.insert(observe(test, &config));
        }
        for config in next.drain(..) {
            if seen.len() >= limit {
                return Err(ModelError::TooLarge { limit });
            }
            if seen.insert(config.clone()) {
                open.push(config);
            }
        }
    }
    Ok(states)
}

/// The observed variables of a configuration.
fn observe(test: &Test, config: &Config) -> State {
    let value = |&variable: &Variable| match variable {
        Variable::Register { thread, register, size } => {
            size.signed(config.threads[thread].regs[usize::from(register.0)])
        }
        Variable::Memory(place) => {
            let size = test.value_size(place);
            let first = place.location * step::STRIDE + place.offset as usize;
            size.signed(step::read(&config.memory, first, size.bytes() as usize))
        }
    };
    test.observed.iter().map(value).collect()
}

/// Registers of a thread at its start.
fn initial(test: &Test, thread: usize) -> [u64; REGISTERS] {
    test.threads[thread].init
}
