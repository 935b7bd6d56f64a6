//! The language that kernel and userspace share: packets, flows, the forwarding decision, map layouts.
//!
//! Decides what happens to a packet; never touches a map, a clock or a socket itself, but only through the
//! [`packet::Packet`] and [`steer::Tables`] traits. No allocation, no standard library.
#![cfg_attr(not(test), no_std)]

pub mod flow;
pub mod ids;
pub mod limits;
pub mod maps;
pub mod slot;
