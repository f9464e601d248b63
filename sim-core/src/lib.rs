//! The discrete-event engine under latchup. It knows nothing of x86.
//!
//! Everything here is a *value*: `Clone + PartialEq + Serialize + Deserialize`, with no interior
//! mutability and no references between parts, so that whatever is built from it can be
//! snapshotted, forked, hashed and resumed anywhere.
//!
//! ```
//! use sim_core::{Cycle, EventQueue, Source};
//!
//! #[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
//! enum Ping { Left, Right }
//!
//! let mut queue = EventQueue::new(2);
//! queue.schedule(Cycle(20), Source(1), Ping::Right);
//! queue.schedule(Cycle(10), Source(0), Ping::Left);
//! assert_eq!(queue.pop(), Some((Cycle(10), Ping::Left)));
//! assert_eq!(queue.next_at(), Some(Cycle(20)));
//! ```

mod cow;
mod hash;
mod queue;
mod rng;
mod time;

pub use cow::CowArray;
pub use hash::{StateHash, TraceHash};
pub use queue::{EventQueue, Source};
pub use rng::Stream;
pub use time::{Cycle, Hertz};
