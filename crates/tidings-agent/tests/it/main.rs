//! The binary as its users meet it: real agents on loopback, the command line, HTTP.

mod cluster;
mod commands;
mod config;
mod demo;
mod errors;
mod events;
mod explain;
mod face;
mod harness;
mod http;
mod kills;
mod links;
mod names;
mod noise;
mod removal;
mod requests;
mod sim;
mod size;
mod suspicion;
mod swarm;
