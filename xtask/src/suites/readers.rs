//! What `/proc` tells of memory, read by others: every field against what Linux prints for the same
//! mappings; a copy of the tree by psutil and smem on the host, and the files by busybox in the guest;
//! the tables themselves, and readers against changes, in each layout.

use super::programs::{MACHINES, System, boot, sections};
use super::{Context, Suite, Tally};
use crate::guest::Input;
use crate::machine::{Arch, Guest, Machine};
use crate::options::Test;
use crate::progress::Task;
use crate::{kernel, ktap, programs};
use anyhow::Context as _;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// All suites.
pub fn suites(options: &Test) -> Vec<Suite> {
    let mut all = Vec::new();
    for &system in System::wanted(options) {
        for machine in MACHINES {
            let name = |what: &str| format!("{} {} {what}", system.prefix(), machine.name());
            all.push(Suite::new(name("fields"), move |context, task, tally| {
                fields(system, machine, context, task, tally)
            }));
            if system == System::Fallow {
                all.push(Suite::new(name("readers"), move |context, task, tally| {
                    readers(machine, context, task, tally)
                }));
                let seconds = options.long.then_some(options.seconds.unwrap_or(60));
                all.push(Suite::new(name("layouts"), move |context, task, tally| {
                    layouts(machine, seconds, context, task, tally)
                }));
            }
        }
    }
    all
}

/// What `guest-tests fields` prints, on both systems and all machines: a line that begins with words in
/// brackets is the one of those systems and machines alone.
const FIELDS: &str = "tests/guest/fields.expected";

/// Whether a line is one of that system's on that machine, and the line.
fn own_line(line: &str, system: System, arch: Arch) -> Option<&str> {
    let Some((words, rest)) = line.strip_prefix('[').and_then(|line| line.split_once("] ")) else {
        return Some(line);
    };
    let system = if system == System::Fallow { "fallow" } else { "linux" };
    words.split(' ').all(|word| [system, arch.name()].contains(&word)).then_some(rest)
}

fn fields(
    system: System,
    machine: Machine,
    context: &Context,
    task: &Task,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let command = format!("{} fields", programs::NAME);
    let guest = Guest::new(machine);
    let Some((finished, status)) = boot(system, guest, Some(&command), Input::None, context, task, tally)?
    else {
        return Ok(());
    };
    tally.check("the program's status", status == Some(0), || format!("{status:?}"));
    let seen = sections(finished.console.lines().iter().map(String::as_str));
    let expected = std::fs::read_to_string(kernel::root().join(FIELDS)).context(FIELDS)?;
    let wanted = sections(expected.lines().filter_map(|line| own_line(line, system, machine.arch())));
    tally.check("what is expected", wanted.len() > 60, || format!("{} sections", wanted.len()));
    for (name, text) in &wanted {
        let own = seen.iter().find(|(other, _)| other == name).map(|(_, text)| text);
        tally.check(name, own == Some(text), || match own {
            None => "it is not told".into(),
            Some(own) => {
                let differ = own.iter().zip(text).find(|(own, wanted)| own != wanted);
                let counts = format!("{} lines, not {}", own.len(), text.len());
                differ.map_or(counts, |(own, wanted)| format!("'{own}' instead of '{wanted}'"))
            }
        });
    }
    let more = seen.iter().filter(|(name, _)| wanted.iter().all(|(other, _)| name != other)).count();
    tally.check("nothing else", more == 0, || format!("{more} more; all of it is in the log"));
    Ok(())
}

fn readers(machine: Machine, context: &Context, task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    let command = Some("sh /bin/copy-proc.sh");
    let guest = Guest::new(machine);
    let Some((finished, status)) = boot(System::Fallow, guest, command, Input::None, context, task, tally)?
    else {
        return Ok(());
    };
    tally.check("the script's status", status == Some(0), || format!("{status:?}"));
    let lines = || finished.console.lines().iter().map(String::as_str);
    let facts: String =
        lines().filter(|line| line.starts_with("fact ")).map(|line| format!("{line}\n")).collect();
    let sections = sections(lines());
    let section = |wanted: &str| {
        sections
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, lines)| lines.as_slice())
            .unwrap_or_default()
    };
    let folder = kernel::root().join("target/test/proc").join(machine.name());
    unpack(&section("copy").concat(), &folder)?;
    let facts_path = folder.join("facts");
    std::fs::write(&facts_path, &facts)?;
    let script = kernel::root().join("tests/readers/read_proc.py");
    let output = Command::new("/usr/bin/python3").arg(script).arg(&folder).arg(&facts_path).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    tally.log(&said);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    tally.log(&complaint);
    for line in said.lines() {
        match line.strip_prefix("not ok ") {
            None => tally.check(line, true, String::new),
            Some(what) => tally.fail(what.split(':').next().unwrap_or(what), what),
        }
    }
    let last = complaint.lines().last().unwrap_or_default();
    tally.check("the readers' status", output.status.success(), || format!("{}: {last}", output.status));
    in_the_guest(&section, &folder, &facts, tally)
}

/// What busybox's tools said of the files, against the copy.
fn in_the_guest<'a>(
    section: &impl Fn(&str) -> &'a [String],
    folder: &Path,
    facts: &str,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let fact = |name: &str| {
        facts.lines().find_map(|line| line.strip_prefix("fact ")?.strip_prefix(name)?.strip_prefix(' '))
    };
    let pid = fact("pid").context("no facts")?;
    let smaps = std::fs::read_to_string(folder.join("proc").join(pid).join("smaps"))?;
    let sum = |name: &str| -> u64 {
        let values = smaps.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        values.filter_map(|value| value.trim().strip_suffix(" kB")?.parse::<u64>().ok()).sum()
    };
    let wanted = [sum("Pss"), sum("Rss")].map(|number| number.to_string());
    tally.check("awk", section("awk") == wanted, || format!("{:?} instead of {wanted:?}", section("awk")));
    let count = smaps.lines().count().to_string();
    let seen = section("cat").first().map(|line| line.trim());
    tally.check("cat and wc", seen == Some(count.as_str()), || format!("{seen:?} instead of {count}"));
    let size: u64 = sum("Size");
    let row = section("top").iter().find(|line| line.split_whitespace().next() == Some(pid));
    let good = row.is_some_and(|row| {
        let words: Vec<&str> = row.split_whitespace().collect();
        // From 100000 kB on it is shown in MB.
        let shown = words.get(4).is_some_and(|word| match word.strip_suffix('m') {
            Some(mb) => mb.parse() == Ok(size / 1024),
            None => word.parse() == Ok(size),
        });
        shown
            && words.get(1) == fact("parent").as_ref()
            && words.get(3) == Some(&"S")
            && row.contains("dweller")
    });
    tally.check("top", good, || format!("{row:?}, {size} kB"));
    Ok(())
}

/// Unpacks what the guest has packed into an empty folder.
fn unpack(base64: &str, folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    let mut decode = Command::new("base64").arg("-d").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (input, output) = (decode.stdin.take(), decode.stdout.take().context("no pipe")?);
    let tar = Command::new("tar").args(["xz", "--no-same-owner", "-C"]).arg(folder).stdin(output).spawn();
    if let Some(mut input) = input {
        // What was cut shows in tar's status.
        let _ = input.write_all(base64.as_bytes());
    }
    let (decoded, unpacked) = (decode.wait()?.success(), tar?.wait()?.success());
    anyhow::ensure!(decoded && unpacked, "the copy of /proc cannot be unpacked");
    Ok(())
}

/// The files of tables, and readers against changes, in each layout.
fn layouts(
    machine: Machine,
    seconds: Option<u64>,
    context: &Context,
    task: &Task,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    for layout in ["page", "frag", "group"] {
        let cpus = if seconds.is_some() { 4 } else { 2 };
        let guest = Guest { cpus, append: format!("pgtable.layout={layout}"), ..Guest::new(machine) };
        let name = programs::NAME;
        let long = seconds.map(|seconds| format!("\n{name} consistency {seconds} || exit 1"));
        let command = format!(
            "{name} 'page_tables.*' || exit 1\n{name} 'smaps.*' || exit 1{}",
            long.unwrap_or_default()
        );
        let Some((finished, status)) =
            boot(System::Fallow, guest, Some(&command), Input::None, context, task, tally)?
        else {
            continue;
        };
        let report = ktap::parse(finished.console.lines().iter().map(String::as_str));
        let counted = report.counted();
        tally.passed += counted.pass;
        for test in report.tests.iter().filter(|test| test.outcome == ktap::Outcome::Fail) {
            tally.fail(&format!("{layout}: {}", test.name), "see the log");
        }
        let good = status == Some(0) && counted.fail == 0;
        tally.check(&format!("layout={layout}"), good, || format!("status {status:?}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_be_of_one_system_alone() {
        let own = |line| own_line(line, System::Linux, Arch::Ppc64);
        assert_eq!(own("Rss: 100"), Some("Rss: 100"));
        assert_eq!(own("[linux] Rss: 100"), Some("Rss: 100"));
        assert_eq!(own("[linux ppc64] Rss: 100"), Some("Rss: 100"));
        assert_eq!(own("[linux s390x] Rss: 100"), None);
        assert_eq!(own("[fallow] Rss: 100"), None);
        assert_eq!(own("[stack] x"), None, "names stand elsewhere");
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let folder = kernel::root().join("target/test/unpack-test");
        let packed =
            Command::new("sh").args(["-c", "cd /proc/self && tar cz comm | base64"]).output().unwrap();
        unpack(&String::from_utf8_lossy(&packed.stdout), &folder).unwrap();
        assert!(folder.join("comm").exists());
        assert!(unpack("bm9uc2Vuc2U=", &folder).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
