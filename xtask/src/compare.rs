//! `run-qemu.sh compare`: Fallow and Debian's Linux, measured by one program on one QEMU, in one table.
//!
//! What one CPU does is counted in instructions, where every run is the same. What CPUs do to each other
//! cannot be counted so: there the program itself compares, within one boot, the turns in which others
//! read with those in which they rest; only such ratios are printed of time. A host with fewer cores than
//! the guest has CPUs, or that has other things to do, makes them worse, for both systems; the first ratio
//! is of the time that the writer's CPU had ([`cputime`](crate::cputime)).

use crate::costs::{Bench, Figure, name};
use crate::machine::{Arch, Machine};
use crate::needs::{self, Purpose};
use crate::progress::Progress;
use crate::stop;
use crate::toolchain::Toolchain;
use std::path::Path;

/// Readers of the races.
const READERS: [u32; 3] = [1, 2, 3];

/// A row: of what, how much on each system, and the unit.
struct Row {
    name: String,
    values: [Option<f64>; 2],
    unit: &'static str,
}

/// Compares on that architecture, or on both; the result is the runner's exit status.
pub fn compare(arch: Option<Arch>, seconds: u64, folder: Option<&Path>) -> anyhow::Result<u8> {
    let progress = Progress::new();
    needs::provide(Purpose::All, folder, &progress)?;
    let toolchain = Toolchain::find()?;
    let machines = [Machine::S390x, Machine::Pseries].into_iter();
    for machine in machines.filter(|machine| arch.is_none_or(|arch| arch == machine.arch())) {
        let mut both = Vec::new();
        for linux in [false, true] {
            both.push(Bench::new(machine, linux, &toolchain, folder, &progress)?);
        }
        let mut rows = counted(&both)?;
        for readers in READERS {
            rows.extend(race(&both, seconds, readers)?);
        }
        print(machine, &rows);
    }
    Ok(stop::PASS)
}

/// What one CPU does.
fn counted(both: &[Bench<'_>]) -> anyhow::Result<Vec<Row>> {
    let mut figures = Vec::new();
    for bench in both {
        let mut all = bench.counted()?;
        all.push(bench.boot()?);
        figures.push(all);
    }
    let of = |figures: &[Figure], name: &str| {
        figures.iter().find(|figure| figure.name == name).map(|figure| figure.value as f64)
    };
    let row = |figure: &Figure| Row {
        name: figure.name.clone(),
        values: [0, 1].map(|system| of(&figures[system], &figure.name)),
        unit: figure.unit,
    };
    Ok(figures[0].iter().map(row).collect())
}

/// What CPUs do to each other.
fn race(both: &[Bench<'_>], seconds: u64, readers: u32) -> anyhow::Result<Vec<Row>> {
    let mut lines = Vec::new();
    for bench in both {
        lines.push(bench.race(seconds, readers)?);
    }
    let s = if readers == 1 { "" } else { "s" };
    let row = |(name, line, word, unit): (&str, &str, Word, &'static str)| Row {
        name: format!("{readers} reader{s}: {name}"),
        values: [0, 1].map(|system| find(&lines[system], line, word)),
        unit,
    };
    let rows = [
        ("rounds in its CPU's time, of those without", "rate for the CPU's time", Word::First, ""),
        ("rounds by the clock, of those without", "rounds", Word::Ratio, ""),
        ("a round, median, to that without", "round, median", Word::Ratio, ""),
        ("a round, 99th percentile, to that without", "round, 99th percentile", Word::Ratio, ""),
        ("munmap, median, to that without", "munmap, median", Word::Ratio, ""),
        ("munmap, 99th percentile, to that without", "munmap, 99th percentile", Word::Ratio, ""),
        ("readings a second", "reads", Word::First, ""),
        ("memory not free that was", "memory not free that was", Word::Second, "kB"),
        ("memory that waits, median", "memory that waited, median", Word::Second, "kB"),
    ];
    Ok(rows.into_iter().map(row).collect())
}

/// Which number of a line `race NAME: FIRST SECOND UNIT, RATIO`.
#[derive(Clone, Copy)]
enum Word {
    First,
    Second,
    Ratio,
}

fn find(lines: &[String], name: &str, word: Word) -> Option<f64> {
    let text =
        lines.iter().find_map(|line| line.strip_prefix("race ")?.strip_prefix(name)?.strip_prefix(": "))?;
    match word {
        Word::First => text.split(' ').next(),
        Word::Second => text.split(' ').nth(1),
        Word::Ratio => text.rsplit(", ").next(),
    }?
    .parse()
    .ok()
}

fn print(machine: Machine, rows: &[Row]) {
    let title = format!("{}: instructions, unless a unit is named", machine.name());
    println!("{title:<58} {:>11} {:>11} {:>7}", name(false), name(true), "ratio");
    for row in rows {
        let [own, linux] = row.values;
        let cell = |value: Option<f64>| value.map_or_else(|| "-".into(), number);
        let ratio = own.zip(linux).filter(|(_, linux)| *linux > 0.0).map(|(own, linux)| own / linux);
        let ratio = ratio.map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}"));
        println!("{:<58} {:>11} {:>11} {ratio:>7} {}", row.name, cell(own), cell(linux), row.unit);
    }
}

/// As precise as makes sense.
fn number(value: f64) -> String {
    if value < 10.0 && value.fract() != 0.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_race_are_read() {
        let lines: Vec<String> = ["race rounds: 5000.0 4900.0 a second, 0.98", "race reads: 210.5 a second"]
            .map(String::from)
            .into();
        assert_eq!(find(&lines, "rounds", Word::Ratio), Some(0.98));
        assert_eq!(find(&lines, "rounds", Word::Second), Some(4900.0));
        assert_eq!(find(&lines, "reads", Word::First), Some(210.5));
        assert_eq!(find(&lines, "round", Word::First), None);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.98, 3.0, 123_456.7].map(number), ["0.98", "3", "123457"]);
    }
}
