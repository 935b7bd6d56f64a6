//! Pure policy: events in, commands out, `now` as an argument. No clock, no socket, no map.

mod message;

pub use message::*;
