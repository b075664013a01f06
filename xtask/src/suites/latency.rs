//! How long interrupts are off while the smaps of a process is read. In read sections of RCU it is the same
//! whatever the number of page tables, and the same whether somebody reads or not; a reader that turns
//! interrupts off is seen at once. Instructions, under icount: the same every time.

use super::{Context, Suite, Tally};
use crate::guest::{self, Input, Manner, Patience};
use crate::kernel::Profile;
use crate::machine::{Guest, Machine};
use crate::progress::Task;
use crate::userland::{self, Contents};
use crate::{debian, programs};

/// One for each machine that counts instructions.
pub fn suites() -> Vec<Suite> {
    let suite = |machine: Machine| {
        Suite::new(format!("interrupts off: {}", machine.name()), move |context, task, tally| {
            let rcu = measure(machine, "rcu", context, task, tally)?;
            let ipi = measure(machine, "ipi", context, task, tally)?;
            compare(rcu, ipi, tally);
            Ok(())
        })
    };
    [Machine::S390x, Machine::Pseries].map(suite).into()
}

/// The longest stretches, in nanoseconds, with few tables and with many.
type Longest = [Option<u64>; 2];

fn compare(rcu: Longest, ipi: Longest, tally: &mut Tally) {
    let figures = format!("64 and 4096 tables, in ns: free=rcu {rcu:?}, free=ipi {ipi:?}");
    tally.log(&figures);
    let both = |longest: Longest| longest[0].zip(longest[1]);
    let level = both(rcu).is_some_and(|(few, many)| 2 * many < 3 * few);
    tally.check("free=rcu: as long with 4096 tables as with 64", level, || figures.clone());
    let longer = both(rcu).zip(both(ipi)).is_some_and(|(rcu, ipi)| ipi.1 > 2 * rcu.1);
    tally.check("free=ipi: longer", longer, || figures.clone());
}

fn measure(
    machine: Machine,
    free: &str,
    context: &Context,
    task: &Task,
    tally: &mut Tally,
) -> anyhow::Result<Longest> {
    let arch = machine.arch();
    let image = context.kernel(arch, Profile::Release)?;
    let command = format!("{} latency", programs::NAME);
    let contents = Contents {
        busybox: debian::busybox(arch, &context.progress)?,
        programs: vec![(programs::NAME, context.programs(arch)?)],
        run: Some(&command),
        terminal: None,
    };
    let disk = userland::disk(&contents)?;
    let append = format!("pgtable.free={free}");
    let guest = Guest { cpus: 1, icount: true, append, initrd: Some(disk.path()), ..Guest::new(machine) };
    let qemu = context.qemu(arch);
    let arguments = guest.arguments(&image, qemu.version)?;
    let manner = Manner { patience: Patience::Scaled, input: Input::None, catch_signals: false };
    let finished = guest::run(qemu, &arguments, manner, |bytes| {
        if let Some(line) = String::from_utf8_lossy(bytes).lines().last() {
            task.at(line);
        }
        Ok(())
    })?;
    finished.console.lines().iter().for_each(|line| tally.log(line));
    let longest = |tables: u32| {
        let start = format!("latency irqs_off, {tables} tables: ");
        let line = finished.console.lines().iter().find_map(|line| line.strip_prefix(&start))?;
        line.strip_suffix(" ns")?.parse().ok()
    };
    Ok([64, 4096].map(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_with_the_tables_is_seen() {
        let verdict = |rcu: [u64; 2], ipi: [u64; 2]| {
            let mut tally = Tally::default();
            compare(rcu.map(Some), ipi.map(Some), &mut tally);
            (tally.passed, tally.failed)
        };
        assert_eq!(verdict([5000, 5100], [40_000, 41_000]), (2, 0));
        assert_eq!(verdict([5000, 50_000], [40_000, 410_000]), (1, 1));
        assert_eq!(verdict([5000, 5000], [5000, 5000]), (1, 1));
        let mut tally = Tally::default();
        compare([None; 2], [None; 2], &mut tally);
        assert_eq!(tally.failed, 2);
    }
}
