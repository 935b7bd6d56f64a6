//! The test bed: network namespaces, real servers and clients, the real agent. Leaves the machine as it found it:
//! everything is a guard that removes what it made when dropped, and what a killed process left is removed by the
//! next one.
//!
//! Never looks inside the agent: it is started, signalled and asked like by its users.

pub mod agent;
pub mod answering;
pub mod body;
pub mod certs;
pub mod client;
pub mod clock;
pub mod collector;
pub mod curl;
pub mod decap;
pub mod dnsserver;
pub mod echo;
pub mod experiment;
pub mod fuzz;
pub mod gateway;
pub mod grpc;
pub mod haproxy;
pub mod ip;
pub mod lbconfig;
pub mod lineserver;
pub mod load;
pub mod longlived;
pub mod netns;
pub mod nginx;
pub mod openload;
pub mod packet;
pub mod process;
pub mod proxyhop;
pub mod root;
pub mod scene;
pub mod scratch;
pub mod scriptedagent;
pub mod service;
pub mod serving;
pub mod sim;
pub mod steady;
pub mod stub;
pub mod tlsserver;
pub mod token;
pub mod topology;
pub mod udpserver;
pub mod wait;
pub mod websocket;
pub mod worker;
pub mod world;
