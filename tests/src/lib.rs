//! The test bed: network namespaces, real servers and clients. Leaves the machine as it found it.
pub mod packet;
pub mod root;
pub mod world;
