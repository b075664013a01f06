//! Puts known bugs into the page tables and the sleeping locks, one at a time, and shows that a test sees each of them.
//!
//! `cargo test -p fallow --test pgtable_mutants -- --ignored --nocapture` (some minutes;
//! `MUTANT='flush|group'` picks by name)
//!
//! Each mutant replaces a text in a copy of the workspace under `target/`. What could deceive: a
//! text that is no longer there (each must occur exactly once); a build that cargo takes for up to
//! date (files are written anew, never copied with their times, and the copy has target folders of
//! its own); a failure that is another's (only the named tests are run, and they must say what is
//! expected of them); a test that fails always (all that are named are run first without a mutant).
//!
//! What hangs instead of failing is ended after some minutes, and not caught by that.
#![cfg(not(loom))]
#![expect(clippy::expect_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who must see it.
#[derive(Clone, Copy, PartialEq)]
enum By {
    /// An ordinary test of the library.
    Host,
    /// The exploration of all states of a few fragments, with what does damage alone: the invariants,
    /// which would see most of these a step earlier, are left out.
    Harm,
    /// A test of the library under the model checker.
    Loom,
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

const fn mutant(
    name: &'static str,
    file: &'static str,
    right: &'static str,
    wrong: &'static str,
    by: By,
    test: &'static str,
    says: &'static str,
) -> Mutant {
    Mutant { name, file, right, wrong, by, test, says }
}

const MUTANTS: &[Mutant] = &[
    mutant(
        "a pending fragment counts as free",
        "pgtable/frag/state.rs",
        "self.used[word] | self.dead[word];",
        "self.used[word];",
        By::Harm,
        "frag::explore",
        "H2",
    ),
    mutant(
        "retired is free at once",
        "pgtable/frag/state.rs",
        "let next = self.with(index, Stage::Late);",
        "let next = self.with(index, Stage::Free);",
        By::Host,
        "frag::explore",
        "H2",
    ),
    mutant(
        "a second callback for one page",
        "pgtable/frag/state.rs",
        "if self.in_flight() { (next, Owed::Nothing) }",
        "if false { (next, Owed::Nothing) }",
        By::Harm,
        "frag::explore",
        "H1: two CPUs owe something for one page",
    ),
    mutant(
        "latecomers are covered by the running grace period",
        "pgtable/frag/state.rs",
        "if self.in_flight() { (next, Owed::Nothing) }",
        "if self.in_flight() { (next.armed(), Owed::Nothing) }",
        By::Host,
        "frag::explore",
        "H35",
    ),
    mutant(
        "the callback frees the latecomers too",
        "pgtable/frag/state.rs",
        "(used, dead & used)).armed()",
        "(used & !dead, 0))",
        By::Harm,
        "frag::explore",
        "H3: given back while a fragment is live or pending",
    ),
    mutant(
        "the callback does not queue itself again",
        "pgtable/frag/state.rs",
        "() if next.in_flight() => Owed::CallRcu,",
        "() if next.in_flight() => Owed::Nothing,",
        By::Harm,
        "frag::explore",
        "H15",
    ),
    mutant(
        "the page is given back while a fragment is pending",
        "pgtable/frag/state.rs",
        "!self.any(|used, dead| used | dead)",
        "!self.any(|used, _| used)",
        By::Harm,
        "frag::explore",
        "H1: two CPUs owe something for one page",
    ),
    mutant(
        "an empty page is kept for reuse",
        "pgtable/frag/state.rs",
        "            () if next.is_empty() => Owed::FreePage,\n",
        "",
        By::Harm,
        "frag::explore",
        "H15",
    ),
    mutant(
        "a page with nothing but pending fragments is listed",
        "pgtable/frag/state.rs",
        "!self.is_empty() && self.first_free().is_some()",
        "!self.is_empty() && (self.first_free().is_some() || self.in_flight())",
        By::Harm,
        "frag::explore",
        "H8",
    ),
    mutant(
        "no reuse while the twin is pending",
        "pgtable/frag/state.rs",
        "!self.is_empty() && self.first_free().is_some()",
        "!self.is_empty() && !self.in_flight() && self.first_free().is_some()",
        By::Host,
        "frag::explore",
        "H8",
    ),
    mutant(
        "release gives the page back whatever its twins are",
        "pgtable/frag/state.rs",
        "if next.is_empty() { Owed::FreePage } else { Owed::Nothing }",
        "Owed::FreePage",
        By::Harm,
        "frag::explore",
        "H4: given back while listed",
    ),
    mutant(
        "the middle of the list is not unlinked",
        "pgtable/frag/list.rs",
        "Some(prev) => prev.next.set(next),",
        "Some(_) => self.head = next,",
        By::Host,
        "frag::walks",
        "panicked",
    ),
    mutant(
        "a fragment is freed under its reader",
        "pgtable/scheme/mod.rs",
        "table.retire();\n",
        "table.release();\n",
        By::Host,
        "a_parked_reader",
        "panicked",
    ),
    mutant(
        "a walk cache outlives its table",
        "pgtable/page_table.rs",
        "let everything = everything || !tables.is_empty();",
        "let everything = everything;",
        By::Host,
        "model::s390x_frag",
        " at 0x",
    ),
    mutant(
        "pages are not flushed",
        "pgtable/page_table.rs",
        "} else if !pages.is_empty() {",
        "} else if false {",
        By::Host,
        "model::s390x_frag",
        " at 0x",
    ),
    mutant(
        "rights that were taken away are not flushed",
        "pgtable/map.rs",
        "gather.changed(at);",
        "",
        By::Host,
        "model::s390x_frag",
        " at 0x",
    ),
    mutant(
        "a moved page is still at its old address",
        "pgtable/remap.rs",
        "gather.changed(from);",
        "",
        By::Host,
        "model::s390x_frag",
        " at 0x",
    ),
    mutant(
        "unmapped pages are not freed",
        "pgtable/unmap.rs",
        "gather.page(va, page.addr);",
        "gather.changed(va);",
        By::Host,
        "model::s390x_frag",
        "panicked",
    ),
    mutant(
        "empty is zero",
        "pgtable/page_table.rs",
        "let empty = paging::to_memory(F::empty(level));",
        "let empty = paging::to_memory(0 & F::empty(level));",
        By::Host,
        "new_spaces_are_empty",
        "a new table is not empty",
    ),
    mutant(
        "a group goes while a page is left",
        "pgtable/frag/page.rs",
        "self.used() == 0\n",
        "self.used() <= 1\n",
        By::Host,
        "groups_go",
        "panicked",
    ),
    mutant(
        "the lowest entry that is filled is not noted",
        "pgtable/frag/page.rs",
        "lowest.min(first)",
        "lowest",
        By::Host,
        "model::s390x_frag",
        "panicked",
    ),
    mutant(
        "a walk ends at the end of a table",
        "pgtable/walk.rs",
        "continue 'root;",
        "return Next::Done;",
        By::Host,
        "a_walk_in_small",
        "panicked",
    ),
    mutant(
        "a reader of any scheme will do",
        "pgtable/scheme/mod.rs",
        "self.scheme.is_none_or(|own| same(own, scheme.name()))",
        "self.scheme.is_none_or(|own| own != \"\" || same(own, scheme.name()))",
        By::Host,
        "a_reader_of_another_scheme",
        "did not panic",
    ),
    mutant(
        "one lock is taken twice",
        "pgtable/table.rs",
        "if core::ptr::eq(a, b) {",
        "if core::ptr::eq(a, b) && a.block().get() == 0 {",
        By::Loom,
        "moves_against_each_other",
        "deadlock",
    ),
    mutant(
        "two locks are taken in the order of the move",
        "pgtable/table.rs",
        "let (low, high) = if core::ptr::from_ref(a) < core::ptr::from_ref(b) { (a, b) } else { (b, a) };",
        "let (low, high) = (a, b);",
        By::Loom,
        "moves_against_each_other",
        "deadlock",
    ),
    mutant(
        "the table for a move that fails is kept",
        "pgtable/remap.rs",
        "self.prune(&target, &mut gather);",
        "",
        By::Loom,
        "a_move_that_fails",
        "an empty table is left",
    ),
    mutant(
        "memory that was allocated for nothing is kept",
        "pgtable/populate.rs",
        "branch.into_iter().flatten().for_each(Fragment::release);",
        "drop(branch);",
        By::Host,
        "a_failed_map",
        "panicked",
    ),
    mutant(
        "the parent is not looked at again under the lock",
        "pgtable/table.rs",
        "self.is_linked().then_some(TableGuard",
        "true.then_some(TableGuard",
        By::Loom,
        "a_group_that_is_refilled",
        "panicked",
    ),
    mutant(
        "the second fault installs a group of its own",
        "pgtable/populate.rs",
        "if guard.load(F::LEVELS[level_above(top)].index(va)) != paging::Entry::Absent {",
        "if false {",
        By::Loom,
        "a_group_is_published",
        "panicked",
    ),
    mutant(
        "a fragment is reused under a walker",
        "pgtable/scheme/mod.rs",
        "table.retire();\n",
        "table.release();\n",
        By::Loom,
        "a_fragment_is_not_reused",
        "H2",
    ),
    mutant(
        "a table is published without release",
        "pgtable/table.rs",
        "            // Release: pairs with the Acquire in `raw`, on whichever CPU walks here (H7).\n            slot.store(entry, Ordering::Release);",
        "            slot.store(entry, Ordering::Relaxed);",
        By::Loom,
        "pgtable::loom",
        "panicked",
    ),
    mutant(
        "the last count is dropped without acquire",
        "pgtable/frag/counted.rs",
        "fence(Ordering::Acquire);",
        "",
        By::Loom,
        "the_last_count",
        "Causality",
    ),
    mutant(
        "a waiter looks before it stands in the line",
        "../sync/wait.rs",
        "            unsafe { self.line.lock().join(&waiter) };\n            if condition() {",
        "            let now = condition();\n            unsafe { self.line.lock().join(&waiter) };\n            if now {",
        By::Loom,
        "no_wake_up_is_lost",
        "deadlock",
    ),
    mutant(
        "a wake-up between the look and the sleep is forgotten",
        "../sync/wait.rs",
        "            hooks::block(ctx, \"wait queue\", deadline);",
        "            hooks::prepare_to_block(ctx);\n            hooks::block(ctx, \"wait queue\", deadline);",
        By::Loom,
        "no_wake_up_is_lost",
        "deadlock",
    ),
    mutant(
        "a wake-up for who gives up is lost",
        "../sync/wait.rs",
        "                self.wake_one();\n",
        "",
        By::Loom,
        "a_wake_up_for_who_gives_up",
        "deadlock",
    ),
    mutant(
        "a mutex wakes before it is free",
        "../sync/mutex.rs",
        "        self.mutex.locked.store(false, Ordering::Release);\n        self.mutex.waiters.wake_one();",
        "        self.mutex.waiters.wake_one();\n        self.mutex.locked.store(false, Ordering::Release);",
        By::Loom,
        "a_mutex_excludes",
        "deadlock",
    ),
    mutant(
        "a mutex is given back without release",
        "../sync/mutex.rs",
        "self.mutex.locked.store(false, Ordering::Release);",
        "self.mutex.locked.store(false, Ordering::Relaxed);",
        By::Loom,
        "a_mutex_excludes",
        "Causality",
    ),
    mutant(
        "a page is given back while the callback needs its owner",
        "pgtable/frag/page.rs",
        "let count = self.owner.with_mut(|owner| unsafe { (*owner).take() });",
        "let count: Option<Shared<Owner<W>>> = None;",
        By::Loom,
        "frag::loom::end_of_the_mm",
        "panicked",
    ),
];

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
const LEFT_OUT: &[&str] = &["console", "fs", "ktest", "panic", "proc", "syscall"];

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
    let target =
        copy.with_file_name(if by == By::Loom { "pgtable-mutants-loom" } else { "pgtable-mutants-host" });
    // Ends the test as well: `timeout` signals its process group.
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", &format!("{minutes}m"), env!("CARGO")]).current_dir(copy);
    command.args(["test", "--offline", "-q", "-p", "fallow", "--lib"]);
    match by {
        By::Loom => command.arg("--release").env("RUSTFLAGS", "--cfg loom"),
        By::Host => command.env_remove("RUSTFLAGS"),
        By::Harm => command.env_remove("RUSTFLAGS").env("HARM_ONLY", "1"),
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
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/mm");
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
    let scratch: PathBuf = root.join("target").join("pgtable-mutants");
    copy(root, &scratch);
    leave_out(&scratch);
    let only = std::env::var("MUTANT").unwrap_or_default();
    let chosen = |mutant: &&Mutant| only.split('|').any(|text| mutant.name.contains(text));
    for by in [By::Host, By::Harm, By::Loom] {
        let tests: Vec<&str> = MUTANTS.iter().filter(chosen).filter(|m| m.by == by).map(|m| m.test).collect();
        let (passed, said) =
            if tests.is_empty() { (true, String::new()) } else { run(&scratch, by, &tests, 60) };
        assert!(passed, "the tests fail without a mutant:\n{said}");
    }
    let mut missed = vec![];
    for mutant in MUTANTS.iter().filter(chosen) {
        let file = scratch.join("kernel/src/mm").join(mutant.file);
        let text = fs::read_to_string(&file).expect("a source");
        let places = text.matches(mutant.right).count();
        assert_eq!(places, 1, "{}: its text occurs {places} times in {}", mutant.name, mutant.file);
        fs::write(&file, text.replace(mutant.right, mutant.wrong)).expect("a file");
        let (passed, said) = run(&scratch, mutant.by, &[mutant.test], 15);
        fs::write(&file, text).expect("a file");
        let built = !said.contains("could not compile");
        let caught = !passed && built && said.contains(mutant.says);
        let reason =
            said.lines().skip_while(|line| !line.contains("panicked at")).nth(1).unwrap_or("").trim();
        println!("{} {} by {}: {reason}", if caught { "caught" } else { "MISSED" }, mutant.name, mutant.test);
        if !caught {
            missed.push(format!("{}:\n{said}", mutant.name));
        }
    }
    assert!(missed.is_empty(), "{} mutants not caught:\n{}", missed.len(), missed.join("\n\n"));
}
