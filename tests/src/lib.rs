//! The test bed: network namespaces, real servers and clients. Leaves the machine as it found it.
