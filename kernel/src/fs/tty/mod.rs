//! The terminal.
pub mod discipline;
mod edit;
pub mod output;
pub mod queue;
pub mod termios;
