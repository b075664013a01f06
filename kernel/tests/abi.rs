//! `docs/abi.md` says of each system call which tests show it, and that what stands in no row is ENOSYS.
//! Here: each row names tests, which exist; each call that is served has a row.
//!
//! Reads the sources as text: the tests are programs for another machine.
#![cfg(not(loom))]
#![expect(clippy::expect_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn path(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(below)
}

fn read(below: &str) -> String {
    fs::read_to_string(path(below)).expect("a file of the project")
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    text.split_once(open)?.1.split_once(close).map(|(inner, _)| inner)
}

/// What stands between each `open` and the next `close`.
fn all_between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split_once(close).map(|(inner, _)| inner))
}

type Suites = BTreeMap<String, BTreeSet<String>>;

/// The suites of `tests/guest`, by the names in their list.
fn suites_of_programs() -> Suites {
    let list = read("tests/guest/src/suites/mod.rs");
    let suites = all_between(&list, "Suite { name: \"", "::TESTS");
    suites
        .map(|text| {
            let (name, module) = text.split_once("\", tests: ").expect("a name and a module");
            let source = read(&format!("tests/guest/src/suites/{module}.rs"));
            let tests = between(&source, "tests![", "];").expect("a list of tests");
            let tests = tests.split(',').map(|test| test.trim().to_owned());
            (name.to_owned(), tests.filter(|test| !test.is_empty()).collect())
        })
        .collect()
}

/// Those in the kernel.
fn suites_of_the_kernel() -> Suites {
    let mut all = Suites::new();
    for entry in fs::read_dir(path("kernel/src/ktest/suites")).expect("a folder") {
        let source = fs::read_to_string(entry.expect("an entry").path()).expect("a source");
        let suite = source.split_once("SUITE: Suite").and_then(|(_, rest)| between(rest, "name: \"", "\""));
        if let Some(suite) = suite {
            let tests = all_between(&source, "Test::new(\"", "\"").map(str::to_owned);
            all.insert(suite.to_owned(), tests.collect());
        }
    }
    all
}

/// The rows of all tables whose last column is that of tests: the first cell and the last.
fn rows(text: &str) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut in_table = false;
    for line in text.lines() {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let (first, last) = (cells[0].to_owned(), cells[cells.len() - 1].to_owned());
        if !line.starts_with('|') {
            in_table = false;
        } else if last == "tests" {
            in_table = true;
        } else if in_table && !first.starts_with("--") {
            rows.push((first, last));
        }
    }
    rows
}

/// What is wrong with the tests that a row names: `suite.test test test, suite.test`.
fn complaints(named: &str, programs: &Suites, kernel: &Suites) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut suite = "";
    let mut suites = programs;
    for word in named.split([' ', ',', ';']).filter(|word| !["", "in", "the"].contains(word)) {
        if word == "kernel" {
            suites = kernel;
            continue;
        }
        let test = match word.split_once('.') {
            Some((name, test)) => {
                suite = name;
                test
            }
            None => word,
        };
        let known = suites.get(suite).is_some_and(|tests| match test.strip_suffix('*') {
            Some(start) => tests.iter().any(|name| name.starts_with(start)),
            None => tests.contains(test),
        });
        if !known {
            wrong.push(format!("{suite}.{test}"));
        }
    }
    wrong
}

#[test]
fn each_row_names_tests_that_exist() {
    let (programs, kernel) = (suites_of_programs(), suites_of_the_kernel());
    assert!(programs.len() > 15 && programs.values().map(BTreeSet::len).sum::<usize>() > 200);
    let rows = rows(&read("docs/abi.md"));
    assert!(rows.len() > 60, "{} rows", rows.len());
    let mut wrong = Vec::new();
    for (what, tests) in &rows {
        if tests.is_empty() {
            wrong.push(format!("{what}: no test"));
        }
        wrong.extend(complaints(tests, &programs, &kernel).iter().map(|name| format!("{what}: no {name}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_call_has_its_row() {
    let rows = rows(&read("docs/abi.md"));
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let named: BTreeSet<_> = rows.iter().flat_map(|(first, _)| first.split(word)).collect();
    let mut sources = read("kernel/src/arch/s390x/abi.rs") + &read("kernel/src/arch/ppc64/abi.rs");
    for entry in fs::read_dir(path("kernel/src/syscall")).expect("a folder") {
        sources += &fs::read_to_string(entry.expect("an entry").path()).expect("a source");
    }
    let calls: BTreeSet<_> =
        sources.split("__NR_").skip(1).filter_map(|rest| rest.split(word).next()).collect();
    assert!(calls.len() > 150, "{} calls", calls.len());
    let missing: Vec<_> = calls.difference(&named).filter(|name| !name.is_empty()).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
}

#[test]
fn a_wrong_name_is_found() {
    let suite = |tests: &[&str]| tests.iter().map(|&test| test.to_owned()).collect();
    let programs = Suites::from([("files".to_owned(), suite(&["one", "two_ways"]))]);
    let kernel = Suites::from([("space".to_owned(), suite(&["three"]))]);
    let wrong = |named| complaints(named, &programs, &kernel);
    assert!(wrong("files.one two_ways, files.two_*; files.*, in the kernel space.three").is_empty());
    assert_eq!(wrong("files.one three"), ["files.three"]);
    assert_eq!(wrong("file.one, space.three, files.three_*"), ["file.one", "space.three", "files.three_*"]);
}
