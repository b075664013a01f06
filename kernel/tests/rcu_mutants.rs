//! Puts known bugs into RCU, one at a time, and shows that a test sees each of them.
//!
//! `cargo test -p fallow --test rcu_mutants -- --ignored --nocapture` (some minutes;
//! `MUTANT='fence|mark'` picks by name)
//!
//! Each mutant replaces a text in a copy of the workspace under `target/`. What could deceive: a
//! text that is no longer there (each must occur exactly once); a build that cargo takes for up to
//! date (files are written anew, never copied with their times, and the copy has a target folder of
//! its own); a failure that is another's (only the named test is run, and it must say what is
//! expected of it); a test that fails always (all that are named are run first without a mutant).
//! What hangs instead of failing is ended after some minutes, and not caught by that.
#![cfg(not(loom))]
#![expect(clippy::expect_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who must see it.
#[derive(Clone, Copy, PartialEq)]
enum By {
    /// A test of `loom_rcu`.
    Loom,
    /// A unit test, or one of `rcu_host`.
    Host,
}

struct Mutant {
    name: &'static str,
    file: &'static str,
    right: &'static str,
    wrong: &'static str,
    by: By,
    test: &'static str,
    says: &'static str,
}

const RACE: &str = "Causality violation";

const fn loom(
    name: &'static str,
    file: &'static str,
    right: &'static str,
    wrong: &'static str,
    test: &'static str,
    says: &'static str,
) -> Mutant {
    Mutant { name, file, right, wrong, by: By::Loom, test, says }
}

const MUTANTS: &[Mutant] = &[
    // The order of a report, before and after.
    loom(
        "a report does not release",
        "quiescent.rs",
        "fetch_and(!bits, Ordering::AcqRel)",
        "fetch_and(!bits, Ordering::Acquire)",
        "reports_order_sections_before_and_after",
        RACE,
    ),
    loom(
        "a report does not acquire",
        "quiescent.rs",
        "fetch_and(!bits, Ordering::AcqRel)",
        "fetch_and(!bits, Ordering::Release)",
        "reports_order_sections_before_and_after",
        RACE,
    ),
    loom(
        "a grace period is published without release",
        "gp.rs",
        "rcu.pending.store(watched, Ordering::Release)",
        "rcu.pending.store(watched, Ordering::Relaxed)",
        "cookies_against_the_begin_of_a_grace_period",
        RACE,
    ),
    loom(
        "the end does not acquire the reports",
        "gp.rs",
        "self.driver.rcu.pending.load(Ordering::Acquire) == 0",
        "self.driver.rcu.pending.load(Ordering::Relaxed) == 0",
        "two_reporters",
        RACE,
    ),
    // Who is waited for.
    loom(
        "one CPU is not waited for",
        "gp.rs",
        "if Watch::says_watched(self.samples[number]) {",
        "if number != 1 && Watch::says_watched(self.samples[number]) {",
        "reports_order_sections_before_and_after",
        RACE,
    ),
    loom(
        "a CPU that is busy all the time is let off",
        "gp.rs",
        "if cpu.watch.sample() != self.driver.samples[number] {",
        "if cpu.watch.sample() == self.driver.samples[number] {",
        "reports_order_sections_before_and_after",
        RACE,
    ),
    // Idle.
    loom(
        "no fence before the CPUs are sampled",
        "gp.rs",
        "        fence(Ordering::SeqCst);\n",
        "",
        "idle_cpus_are_seen_or_see",
        RACE,
    ),
    loom(
        "no fence on the way out of idle",
        "quiescent.rs",
        "        fence(Ordering::SeqCst);\n",
        "",
        "idle_cpus_are_seen_or_see",
        RACE,
    ),
    loom(
        "the way into idle does not release",
        "quiescent.rs",
        "            watch.store(now.wrapping_add(1), Ordering::Release);",
        "            watch.store(now.wrapping_add(1), Ordering::Relaxed);",
        "idle_cpus_are_seen_or_see",
        RACE,
    ),
    loom(
        "the way out of idle hides the way in",
        "quiescent.rs",
        "\n        watch.store(now.wrapping_add(1), Ordering::Release);",
        "\n        watch.store(now.wrapping_add(1), Ordering::Relaxed);",
        "a_passage_through_idle_counts",
        RACE,
    ),
    loom(
        "a sample does not acquire",
        "quiescent.rs",
        "self.0.load(Ordering::Acquire)",
        "self.0.load(Ordering::Relaxed)",
        "idle_cpus_are_seen_or_see",
        RACE,
    ),
    // Cookies.
    loom(
        "a cookie counts the grace period that runs",
        "seq.rs",
        "Self(self.0.wrapping_add(3) & !1)",
        "Self(self.0.wrapping_add(2) & !1)",
        "cookies_against_the_begin_of_a_grace_period",
        RACE,
    ),
    loom(
        "no fence before a cookie",
        "instance.rs",
        "        fence(Ordering::SeqCst);\n",
        "",
        "cookies_against_the_begin_of_a_grace_period",
        RACE,
    ),
    loom(
        "the end is published without release",
        "gp.rs",
        "rcu.seq.store(ended.raw(), Ordering::Release)",
        "rcu.seq.store(ended.raw(), Ordering::Relaxed)",
        "cookies_against_the_begin_of_a_grace_period",
        RACE,
    ),
    loom(
        "the begin hides the end before it",
        "gp.rs",
        "rcu.seq.store(rcu.current().next().raw(), Ordering::Release)",
        "rcu.seq.store(rcu.current().next().raw(), Ordering::Relaxed)",
        "cookies_against_the_begin_of_a_grace_period",
        RACE,
    ),
    loom(
        "a poller does not acquire",
        "instance.rs",
        "Seq::from_raw(self.seq.load(Ordering::Acquire)).has_reached(cookie.0)",
        "Seq::from_raw(self.seq.load(Ordering::Relaxed)).has_reached(cookie.0)",
        "cookies_against_the_begin_of_a_grace_period",
        RACE,
    ),
    // Segments.
    loom(
        "the end releases what was queued since the begin",
        "list.rs",
        "self.done.append(&mut self.wait);",
        "self.done.append(&mut self.wait);\n        self.done.append(&mut self.next);",
        "call_rcu_against_the_begin_of_a_grace_period",
        RACE,
    ),
    loom(
        "callbacks are collected after the CPUs were sampled",
        "gp.rs",
        "        rcu.pending.store(watched, Ordering::Release);\n",
        "        rcu.pending.store(watched, Ordering::Release);\n        for cpu in &rcu.cpus {\n            cpu.list.lock().grace_begins();\n        }\n",
        "call_rcu_against_the_begin_of_a_grace_period",
        RACE,
    ),
    loom(
        "a ready callback hides that the next one is the first",
        "list.rs",
        "Queued { first: self.next.len == 1, len }",
        "Queued { first: len == 1, len }",
        "ready_callbacks_hide_no_wake_up",
        "nobody wakes the driver",
    ),
    // One head.
    loom(
        "the mark of a queued head is not exchanged",
        "head.rs",
        "self.invoke.compare_exchange(ptr::null_mut(), raw, Ordering::Acquire, Ordering::Relaxed).is_ok()",
        "{ let free = self.invoke.load(Ordering::Acquire).is_null(); self.invoke.store(raw, Ordering::Relaxed); free }",
        "two_cpus_defer_one_object",
        "",
    ),
    loom(
        "the head is given back without release",
        "head.rs",
        "self.invoke.swap(ptr::null_mut(), Ordering::Release)",
        "self.invoke.swap(ptr::null_mut(), Ordering::Relaxed)",
        "deferred_again_while_the_callback_begins",
        RACE,
    ),
    loom(
        "the head is claimed without acquire",
        "head.rs",
        "compare_exchange(ptr::null_mut(), raw, Ordering::Acquire, Ordering::Relaxed)",
        "compare_exchange(ptr::null_mut(), raw, Ordering::Relaxed, Ordering::Relaxed)",
        "deferred_again_while_the_callback_begins",
        RACE,
    ),
    // Barrier.
    loom(
        "a barrier forgets a CPU",
        "barrier.rs",
        "in self.cpus.iter().enumerate() {",
        "in self.cpus.iter().enumerate().skip(1) {",
        "a_barrier_against_a_move",
        "one CPU has callbacks",
    ),
    loom(
        "a barrier looks past a callback that runs",
        "barrier.rs",
        "list.len() == 0 && !cpu.is_invoking()",
        "list.len() == 0",
        "a_barrier_against_the_last_callback",
        "",
    ),
    loom(
        "a barrier takes a callback for returned that is about to return",
        "instance.rs",
        "self.invoking.load(Ordering::Acquire)",
        "self.invoking.load(Ordering::Relaxed)",
        "a_barrier_against_the_last_callback",
        RACE,
    ),
    loom(
        "a callback returns without release",
        "instance.rs",
        "mine.invoking.store(false, Ordering::Release)",
        "mine.invoking.store(false, Ordering::Relaxed)",
        "a_barrier_against_the_last_callback",
        RACE,
    ),
    loom(
        "a CPU leaves while a callback of its list runs elsewhere",
        "quiescent.rs",
        "if !self.cpus[cpu].is_invoking() {",
        "if self.cpus[cpu].is_invoking() || N > 0 {",
        "a_barrier_against_a_displaced_invoker",
        RACE,
    ),
    loom(
        "a barrier puts its mark in front",
        "list.rs",
        "        let segment = if self.next.len > 0 {",
        "        let segment = if self.next.len > 0 && self.most > usize::MAX / 2 {",
        "a_barrier_against_a_move",
        "the barrier did not wait for it",
    ),
    loom(
        "the rest of a callback goes behind the barrier's mark",
        "list.rs",
        "unsafe { self.done.push_front(head) };",
        "unsafe { self.done.push(head) };",
        "a_barrier_against_a_callback_in_parts",
        "did not wait for a part",
    ),
    loom(
        "a barrier looks past a callback that is between two parts",
        "instance.rs",
        "        if unsafe { callback(head) } {\n            self.queue_rest(mine, head, callback);\n        }\n",
        "        if unsafe { callback(head) } {\n            mine.invoking.store(false, Ordering::Release);\n            self.queue_rest(mine, head, callback);\n        }\n",
        "a_barrier_against_a_callback_in_parts",
        "",
    ),
    loom(
        "a barrier does not exclude moves",
        "barrier.rs",
        "            let _all = self.topology.lock();\n",
        "",
        "a_barrier_against_a_move",
        "one CPU has callbacks",
    ),
    loom(
        "a mark is counted without release",
        "barrier.rs",
        "self.barrier.left.fetch_sub(1, Ordering::Release)",
        "self.barrier.left.fetch_sub(1, Ordering::Relaxed)",
        "a_barrier_against_the_last_callback",
        RACE,
    ),
    loom(
        "a complete barrier does not acquire",
        "barrier.rs",
        "self.barrier.left.load(Ordering::Acquire) == 0",
        "self.barrier.left.load(Ordering::Relaxed) == 0",
        "a_barrier_against_the_last_callback",
        RACE,
    ),
    // Offline.
    loom(
        "an offline CPU keeps its callbacks",
        "quiescent.rs",
        "            list.adopt(&mut orphans.0);\n",
        "            self.cpus[cpu].list.lock().adopt(&mut orphans.0);\n",
        "offline_against_the_grace_period",
        "",
    ),
    loom(
        "an offline CPU is waited for",
        "quiescent.rs",
        "        self.unwatch(cpu);\n        if ready {",
        "        if ready {",
        "offline_against_the_grace_period",
        "exceeded",
    ),
    // What needs no interleaving.
    Mutant {
        name: "numbers are compared as if they did not wrap",
        file: "seq.rs",
        right: "self.0.wrapping_sub(goal.0).cast_signed() >= 0",
        wrong: "self.0 >= goal.0",
        by: By::Host,
        test: "the_first_grace_periods_cross_the_wrap",
        says: "",
    },
    Mutant {
        name: "a head that is queued is queued again",
        file: "instance.rs",
        right: "claim(callback) {\n            return self.env.misuse(\"call_rcu",
        wrong: "claim(callback) && N == 0 {\n            return self.env.misuse(\"call_rcu",
        by: By::Host,
        test: "deferring_twice_panics_by_name",
        says: "",
    },
    Mutant {
        name: "waiting for a grace period does not look at the nesting",
        file: "global.rs",
        right: "    assert_outside(what);\n    assert_may_sleep(what);",
        wrong: "",
        by: By::Host,
        test: "waiting_inside_a_section_panics_by_name",
        says: "",
    },
    Mutant {
        name: "an end without a begin is let pass",
        file: "section.rs",
        right: "None => unlock_without_lock(),",
        wrong: "None => {}",
        by: By::Host,
        test: "wrong_nesting_panics_by_name",
        says: "no panic",
    },
    Mutant {
        name: "sections nest without limit",
        file: "section.rs",
        right: "if depth >= MAX_NESTING {",
        wrong: "if depth == 0 {",
        by: By::Host,
        test: "wrong_nesting_panics_by_name",
        says: "no panic",
    },
    Mutant {
        name: "the CPU is given away inside a section",
        file: "kernel.rs",
        right: "    assert_outside(\"schedule\");\n",
        wrong: "",
        by: By::Host,
        test: "a_context_switch_inside_a_section_panics_by_name",
        says: "no panic",
    },
];

/// Writes the workspace's files anew under `to`.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name();
        if name == "target" || name == ".git" {
            continue;
        }
        let (from, to) = (entry.path(), to.join(&name));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::write(&to, fs::read(&from).expect("a file")).expect("a file");
        }
    }
}

/// Modules that no test named here needs. They are left out of the copy: each build takes a fraction of
/// the time without them.
const LEFT_OUT: &[&str] = &["console", "fs", "ktest", "mm", "panic", "proc", "syscall"];

/// Takes them out of the copy's `lib.rs`.
fn leave_out(copy: &Path) {
    let file = copy.join("kernel/src/lib.rs");
    let text = fs::read_to_string(&file).expect("a source");
    let mut kept: Vec<&str> = vec![];
    let mut found = 0;
    for line in text.lines() {
        let module = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';'));
        if module.is_some_and(|module| LEFT_OUT.contains(&module)) {
            found += 1;
            // Its condition goes with it.
            kept.pop_if(|line| line.starts_with("#[cfg"));
        } else {
            kept.push(line);
        }
    }
    assert_eq!(found, LEFT_OUT.len(), "a module is not there any more");
    fs::write(&file, kept.join("\n")).expect("a file");
}

/// Runs tests in the copy; says whether they passed, and what they said.
fn run(copy: &Path, by: By, tests: &[&str], minutes: u32) -> (bool, String) {
    let target = copy.with_file_name(if by == By::Loom { "rcu-mutants-loom" } else { "rcu-mutants-host" });
    // Ends the test as well: `timeout` signals its process group.
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", &format!("{minutes}m"), env!("CARGO")]).current_dir(copy);
    command.args(["test", "--offline", "-q", "-p", "fallow"]);
    match by {
        By::Loom => command.args(["--release", "--test", "loom_rcu"]).env("RUSTFLAGS", "--cfg loom"),
        By::Host => command.args(["--lib", "--test", "rcu_host"]).env_remove("RUSTFLAGS"),
    };
    let done = command
        .arg("--")
        .args(tests)
        .env("CARGO_TARGET_DIR", target)
        .env("RUST_BACKTRACE", "0")
        // One function differs from the build before.
        .env("CARGO_INCREMENTAL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .output()
        .expect("cargo starts");
    let said = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (done.status.success(), said)
}

/// In each ordinary run: that the mutants still are what they say.
#[test]
fn every_mutant_has_its_place() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rcu");
    for mutant in MUTANTS {
        let text = fs::read_to_string(sources.join(mutant.file)).expect("a source");
        let places = text.matches(mutant.right).count();
        assert_eq!(places, 1, "{}: its text occurs {places} times in {}", mutant.name, mutant.file);
        assert_ne!(mutant.right, mutant.wrong, "{}", mutant.name);
    }
}

#[test]
#[ignore = "some minutes; run it by name"]
fn every_mutant_is_caught() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let scratch: PathBuf = root.join("target").join("rcu-mutants");
    copy(root, &scratch);
    leave_out(&scratch);
    let only = std::env::var("MUTANT").unwrap_or_default();
    let chosen = |mutant: &&Mutant| only.split('|').any(|text| mutant.name.contains(text));
    for by in [By::Loom, By::Host] {
        let tests: Vec<&str> = MUTANTS.iter().filter(chosen).filter(|m| m.by == by).map(|m| m.test).collect();
        let (passed, said) =
            if tests.is_empty() { (true, String::new()) } else { run(&scratch, by, &tests, 60) };
        assert!(passed, "the tests fail without a mutant:\n{said}");
    }
    let mut missed = vec![];
    for mutant in MUTANTS.iter().filter(chosen) {
        let file = scratch.join("kernel/src/rcu").join(mutant.file);
        let text = fs::read_to_string(&file).expect("a source");
        let places = text.matches(mutant.right).count();
        assert_eq!(places, 1, "{}: its text occurs {places} times in {}", mutant.name, mutant.file);
        fs::write(&file, text.replace(mutant.right, mutant.wrong)).expect("a file");
        let (passed, said) = run(&scratch, mutant.by, &[mutant.test], 15);
        fs::write(&file, text).expect("a file");
        let built = !said.contains("could not compile");
        let caught = !passed && built && said.contains(mutant.test) && said.contains(mutant.says);
        let reason =
            said.lines().skip_while(|line| !line.contains("panicked at")).nth(1).unwrap_or("").trim();
        println!("{} {} by {}: {reason}", if caught { "caught" } else { "MISSED" }, mutant.name, mutant.test);
        if !caught {
            missed.push(format!("{}:\n{said}", mutant.name));
        }
    }
    assert!(missed.is_empty(), "{} mutants not caught:\n{}", missed.len(), missed.join("\n\n"));
}
