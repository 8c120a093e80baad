//! A program to be started by the tests with ends of channels.

fn main() {}
