//! Pictures of what a run or a sweep did: ticket-lock histories, the spreading of a lockup, the
//! outcomes of a sweep over one value or two.
//!
//! Every `draw_*` function takes plain data from [`scenarios::timeline`] or [`scenarios::windows`] and returns a [`Picture`],
//! which writes itself as SVG or PNG. Drawing runs nothing, reads nothing and cannot fail: empty or
//! degenerate data give a picture that says so. Only writing can fail ([`VizError`]). The same data
//! give the same bytes.
//!
//! Both formats come from one list of shapes, so they look the same. No system font is used: text
//! is measured and, in PNG, drawn with the font in `viz/font`.
//!
//! ```
//! use scenarios::timeline::{TicketHistory, TicketPoint, TicketWrite};
//!
//! let take = TicketPoint {
//!     at: 4_000,
//!     cpu: 5,
//!     function: "_spin_lock_irqsave".into(),
//!     write: TicketWrite::Take,
//!     next: 1,
//!     owner: 0,
//!     anomaly: None,
//! };
//! let history =
//!     TicketHistory { symbol: "demo.lock".into(), points: vec![take], ..Default::default() };
//! let picture = viz::draw_tickets(&history, 2_930_000_000, &viz::Options::default());
//! assert!(picture.svg()?.contains("demo.lock"));
//! # Ok::<(), viz::VizError>(())
//! ```

mod axis;
mod curves;
mod font;
mod format;
mod lockup;
mod map;
mod palette;
mod picture;
mod sheet;
mod sweep;
mod tickets;

pub use curves::{Curve, Curves, draw_curves};
pub use lockup::draw_lockup;
pub use map::draw_map;
pub use picture::{Format, Picture, VizError};
pub use sweep::{Swept, draw_sweep, draw_windows};
pub use tickets::draw_tickets;

/// How a picture is to be drawn.
///
/// The default of 640 px with letters of 16 px gives 6 pt letters in a paper's 85 mm column.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Width in CSS pixels (1/96 inch), held to 480..=4000. The height follows from the data.
    pub width: u32,
    /// Size of ordinary letters in CSS pixels, held to 8..=40.
    pub text_size: f64,
    /// PNG pixels for each CSS pixel, held to 1..=6.
    pub png_scale: u32,
    /// Title in place of the picture's own.
    pub title: Option<String>,
    /// Cycle at which the run ended, for data that don't say it (a lock's history).
    pub end: Option<u64>,
}

impl Default for Options {
    fn default() -> Options {
        Options { width: 640, text_size: 16.0, png_scale: 3, title: None, end: None }
    }
}
