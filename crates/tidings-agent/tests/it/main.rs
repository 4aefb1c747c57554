//! The binary as its users meet it: real agents on loopback, the command line, HTTP.

mod cluster;
mod commands;
mod demo;
mod errors;
mod harness;
mod http;
