//! One module a topic.

mod attacks;
mod attacks_machine;
mod elf;
mod exec;
mod files;
mod folders;
mod glibc;
mod habits;
mod identity;
mod locks;
mod mapping_edges;
mod memory;
mod page_tables;
mod pipes;
mod pointers;
mod proc_files;
mod process;
mod signals;
mod signals_faults;
mod smaps;
mod threads;
mod time;
mod tty;

use crate::harness::Suite;

/// In the order in which they run: what the others need comes first.
pub const ALL: &[Suite] = &[
    Suite { name: "process", tests: process::TESTS },
    Suite { name: "memory", tests: memory::TESTS },
    Suite { name: "mapping", tests: mapping_edges::TESTS },
    Suite { name: "files", tests: files::TESTS },
    Suite { name: "folders", tests: folders::TESTS },
    Suite { name: "locks", tests: locks::TESTS },
    Suite { name: "pipes", tests: pipes::TESTS },
    Suite { name: "signals", tests: signals::TESTS },
    Suite { name: "faults", tests: signals_faults::TESTS },
    Suite { name: "time", tests: time::TESTS },
    Suite { name: "threads", tests: threads::TESTS },
    Suite { name: "exec", tests: exec::TESTS },
    Suite { name: "identity", tests: identity::TESTS },
    Suite { name: "proc", tests: proc_files::TESTS },
    Suite { name: "page_tables", tests: page_tables::TESTS },
    Suite { name: "smaps", tests: smaps::TESTS },
    Suite { name: "tty", tests: tty::TESTS },
    Suite { name: "glibc", tests: glibc::TESTS },
    Suite { name: "habits", tests: habits::TESTS },
    Suite { name: "pointers", tests: pointers::TESTS },
    Suite { name: "attacks", tests: attacks::TESTS },
    Suite { name: "machine", tests: attacks_machine::TESTS },
    Suite { name: "elf", tests: elf::TESTS },
];
