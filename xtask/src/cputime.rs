//! How much of the host's time a guest's first CPU has had.
//!
//! A host that does other things gives an emulated CPU less time than the guest believes, and two CPUs of
//! one guest may get less than twice as much as one. So what is done in a turn is divided by the time that
//! the CPU's thread ran, and not by what a clock on the wall says. While a guest's CPU is idle its thread
//! does not run: who measures adds what the guest itself says of that.

use std::fs;

/// The thread of the first CPU of the one QEMU that this process runs.
#[derive(Debug)]
pub struct FirstCpu(String);

impl FirstCpu {
    /// Finds it. QEMU must have been told to name its threads.
    pub fn find() -> Option<Self> {
        let own = std::process::id().to_string();
        let numbers = |folder: &str| {
            let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<_>>()
        };
        let parent = |process: &String| {
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            let (name, rest) = stat.rsplit_once(')')?;
            (name.contains("(qemu-system")).then(|| rest.split_whitespace().nth(1).map(String::from))?
        };
        let qemu = numbers("/proc").into_iter().find(|process| parent(process).as_ref() == Some(&own))?;
        let tasks = format!("/proc/{qemu}/task");
        let named = |task: &String| {
            let name = fs::read_to_string(format!("{tasks}/{task}/comm")).unwrap_or_default();
            name.starts_with("CPU 0/")
        };
        let task = numbers(&tasks).into_iter().find(named)?;
        Some(Self(format!("{tasks}/{task}/schedstat")))
    }

    /// Nanoseconds that it has run.
    pub fn nanoseconds(&self) -> Option<u64> {
        fs::read_to_string(&self.0).ok()?.split(' ').next()?.parse().ok()
    }
}

/// Sums over the turns of a race, of the two kinds: without readers and with them.
#[derive(Default, Debug)]
pub struct Turns {
    cpu: Option<FirstCpu>,
    began: Option<u64>,
    rounds: [f64; 2],
    /// Seconds.
    time: [f64; 2],
}

impl Turns {
    /// Hears a line: `turn begins`, or `turn KIND ends: N rounds, M ms idle`, as it comes.
    pub fn hear(&mut self, line: &str) {
        if line.starts_with("turn begins") {
            if self.cpu.is_none() {
                self.cpu = FirstCpu::find();
            }
            self.began = self.now();
        } else if let Some((kind, rounds, idle)) = ends(line)
            && let (Some(began), Some(now)) = (self.began.take(), self.now())
        {
            self.add(kind, rounds, (now - began) as f64 / 1e9 + idle / 1e3);
        }
    }

    fn now(&self) -> Option<u64> {
        self.cpu.as_ref()?.nanoseconds()
    }

    fn add(&mut self, kind: usize, rounds: f64, seconds: f64) {
        self.rounds[kind] += rounds;
        self.time[kind] += seconds;
    }

    /// The rate with readers, to that without.
    pub fn kept(&self) -> Option<f64> {
        let [alone, read] = [0, 1].map(|kind| self.rounds[kind] / self.time[kind]);
        (alone > 0.0 && read.is_finite()).then_some(read / alone)
    }
}

fn ends(line: &str) -> Option<(usize, f64, f64)> {
    let (kind, rest) = line.strip_prefix("turn ")?.split_once(" ends: ")?;
    let (rounds, rest) = rest.split_once(" rounds, ")?;
    let idle = rest.strip_suffix(" ms idle")?;
    Some((kind.parse().ok().filter(|&kind| kind < 2)?, rounds.parse().ok()?, idle.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_summed() {
        let mut turns = Turns::default();
        assert_eq!(turns.kept(), None);
        turns.add(0, 1000.0, 1.0);
        turns.add(1, 450.0, 0.5);
        assert_eq!(turns.kept(), Some(0.9));
        assert_eq!(ends("turn 1 ends: 20 rounds, 30 ms idle"), Some((1, 20.0, 30.0)));
        assert_eq!(ends("turn 2 ends: 20 rounds, 30 ms idle"), None);
        // No QEMU of ours runs: nothing is added.
        turns.hear("turn begins");
        turns.hear("turn 1 ends: 20 rounds, 30 ms idle");
        assert_eq!(turns.kept(), Some(0.9));
    }
}
