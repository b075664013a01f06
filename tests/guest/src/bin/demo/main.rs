//! `demo`: the scene that this kernel was made for, to be played by hand.
//!
//! A process gives memory back while others read its `smaps`. The page tables that described the memory
//! may still be read; when may theirs be used again? Each subcommand shows one side of the answer,
//! with the way of freeing and the layout that the kernel was booted with.

mod kernel;
mod layouts;
mod race;
mod smaps;
mod stage;
mod uaf;

const HELP: &str = "\
demo race [SECONDS] [READERS]   munmap against readers of smaps, on all CPUs
    One process maps, touches and unmaps memory so that page tables come and
    go; the readers read its /proc/PID/smaps all the time and check what they
    read. Ends with what was done. Status 0: nothing was wrong.

demo uaf                        is a table freed under a reader?
    Parks a reader of smaps, on a CPU that the process never used, between the
    entry that leads to a page table and the table. Then the process unmaps
    what the table described. Tells what became of the table, and who did what.
    Status 0: its memory waited for the reader. 1: it was freed under him.

demo layouts                    what the layout costs
    Page-table memory and the time of a fault, for a sparse and a dense
    mapping, next to what the tables need at least.

How tables are freed and how they lie is chosen at boot:
    pgtable.free=immediate|ipi|rcu   pgtable.layout=page|frag|group
and shown in /sys/kernel/mm/pgtable. Try: ./run-qemu.sh s390x --append
pgtable.free=immediate, and `demo uaf`. The events behind it all:
    echo pgtable > /sys/kernel/tracing/set_event; cat /sys/kernel/tracing/trace
";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["race", rest @ ..] => match numbers(rest) {
            Some([seconds, readers]) => race::run(seconds, readers),
            None => Err(usage()),
        },
        ["uaf"] => uaf::run(),
        // What it executes itself as.
        ["uaf-on-one-cpu"] => uaf::on_one_cpu(),
        ["layouts"] => layouts::run(),
        [] | ["help" | "-h" | "--help"] => {
            print!("{HELP}");
            Ok(0)
        }
        _ => Err(usage()),
    };
    let status = outcome.unwrap_or_else(|error| {
        eprintln!("demo: {error}");
        2
    });
    std::process::exit(status);
}

fn usage() -> std::io::Error {
    std::io::Error::other("race [SECONDS] [READERS] | uaf | layouts | help")
}

/// Up to two numbers; what is left out is 0.
fn numbers(words: &[&str]) -> Option<[u64; 2]> {
    let mut all = [0; 2];
    if words.len() > all.len() {
        return None;
    }
    for (number, word) in all.iter_mut().zip(words) {
        *number = word.parse().ok()?;
    }
    Some(all)
}
