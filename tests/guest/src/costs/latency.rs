//! How long interrupts are off while a process' smaps is read, with few page tables and with many.

use super::smaps::{Reading, small_pages};
use super::span;
use crate::harness::{Failure, Outcome};

/// Page tables of the process.
const TABLES: [usize; 2] = [64, 4096];
/// How often its file is read.
const READS: usize = 8;

/// Measures; the result is the exit status.
pub fn run() -> i32 {
    match TABLES.into_iter().try_for_each(measure) {
        Ok(()) => 0,
        Err(failure) => {
            println!("latency: {failure:?}");
            1
        }
    }
}

fn measure(tables: usize) -> Outcome {
    let map = small_pages(tables)?;
    (0..tables).for_each(|number| map.set(number * span(), 1));
    let mut file = Reading::of("/proc/self/smaps");
    // Once before it counts: what is only made the first time is made.
    file.read()?;
    std::fs::write("/proc/latency", "1")?;
    for _ in 0..READS {
        file.read()?;
    }
    std::fs::write("/proc/latency", "0")?;
    let text = std::fs::read_to_string("/proc/latency")?;
    for kind in ["irqs_off", "rcu_section"] {
        println!("latency {kind}, {tables} tables: {} ns", longest(&text, kind)?);
    }
    Ok(())
}

/// The longest of all CPUs: `CPU 0: irqs_off off for 1234 ns at ...`.
fn longest(text: &str, kind: &str) -> Result<u64, Failure> {
    let all = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once(&format!(": {kind} off for "))?;
        rest.split(' ').next()?.parse::<u64>().ok()
    });
    all.max().ok_or_else(|| Failure::new(format!("/proc/latency tells nothing of {kind}: {text}")))
}
