//! The language that kernel and userspace share: packets, flows, the forwarding decision, map layouts.
//!
//! Decides what happens to a packet; never touches a map, a clock or a socket itself, but only through the
//! [`packet::Packet`] and [`steer::Tables`] traits. No allocation, no standard library.
#![cfg_attr(not(test), no_std)]

pub mod answer;
pub mod balance;
pub mod bench;
pub mod budget;
pub mod check;
pub mod checksum;
pub mod choice;
pub mod decap;
pub mod flow;
pub mod ids;
pub mod limits;
pub mod maps;
pub mod packet;
pub mod parse;
pub mod reason;
pub mod rewrite;
pub mod slot;
pub mod steer;
pub mod wire;

#[cfg(feature = "user")]
mod pod;
