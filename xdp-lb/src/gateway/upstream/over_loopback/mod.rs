//! Requests over loopback: to servers that behave, and to servers that do not.

mod bed;
mod bodies;
mod connections;
mod garbage;
mod http2;
mod tries;
mod upgrades;
