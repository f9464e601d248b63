//! Part of latchup.
