//! `docs/hazards.md` says of each hazard which test shows it. Here: all 44 are there, in order, and
//! what is named exists, so that a test that is renamed or removed takes its line with it.
//!
//! Reads the sources as text: what is named may be a test of the host, of the model checker, of the
//! kernel or of the programs, a mutant, a way to crash, or an example that does not compile.
#![cfg(not(loom))]
#![expect(clippy::expect_used, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Words with an underscore that stand in the table and are no test.
const NO_TESTS: &[&str] = &["idle_enter"];

/// All Rust sources below, one after the other.
fn text_below(dir: &Path, into: &mut String) {
    let mut entries: Vec<_> =
        fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            text_below(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push_str(&fs::read_to_string(&path).expect("a source"));
        }
    }
}

/// What stands between the first `open` and the next `close`.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    text.split_once(open)?.1.split_once(close).map(|(inner, _)| inner)
}

struct Known {
    sources: String,
    /// Functions under `#[test]`.
    host: BTreeSet<String>,
    /// `suite.test` of the kernel and of the programs.
    guest: BTreeSet<String>,
    mutants: Vec<String>,
}

impl Known {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut sources = String::new();
        text_below(&root.join("src"), &mut sources);
        text_below(&root.join("tests"), &mut sources);
        let host = sources.split("#[test]").skip(1).filter_map(|rest| between(rest, "fn ", "("));
        let host = host.map(str::to_owned).collect();
        let mut guest = BTreeSet::new();
        for suite in fs::read_dir(root.join("src/ktest/suites")).expect("a folder") {
            let text = fs::read_to_string(suite.expect("an entry").path()).expect("a source");
            let Some(name) =
                text.split_once("SUITE: Suite").and_then(|(_, rest)| between(rest, "name: \"", "\""))
            else {
                continue;
            };
            let tests = text.split("Test::new(").skip(1).filter_map(|rest| between(rest, "\"", "\""));
            guest.extend(tests.map(|test| format!("{name}.{test}")));
        }
        // A program's suite is a file with the list `tests![a, b]`.
        for suite in fs::read_dir(root.join("../tests/guest/src/suites")).expect("a folder") {
            let path = suite.expect("an entry").path();
            let text = fs::read_to_string(&path).expect("a source");
            let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
            for test in between(&text, "tests![", "]").unwrap_or("").split(',') {
                guest.insert(format!("{name}.{}", test.trim()));
            }
        }
        let mut mutants = vec![];
        for file in ["rcu_mutants.rs", "pgtable_mutants.rs"] {
            let text = fs::read_to_string(root.join("tests").join(file)).expect("a source");
            let table = between(&text, "const MUTANTS", "\n];").expect("the mutants").to_owned();
            for start in [" loom(", " host(", " mutant(", "name:"] {
                let names = table.split(start).skip(1).filter_map(|rest| between(rest, "\"", "\""));
                mutants.extend(names.map(str::to_owned));
            }
        }
        Self { sources, host, guest, mutants }
    }

    /// Whether the type or function has an example that does not compile right above it.
    fn has_misuse(&self, item: &str) -> bool {
        let name = item.rsplit("::").next().unwrap_or(item);
        ["pub struct ", "pub fn "].iter().any(|kind| {
            let item = format!("{kind}{name}");
            self.sources.match_indices(&item).any(|(at, _)| {
                let (before, after) = (&self.sources[..at], &self.sources[at + item.len()..]);
                let whole = !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
                let mut doc = before.lines().rev().take_while(|line| {
                    let line = line.trim_start();
                    line.starts_with("///") || line.starts_with("#[") || line.is_empty()
                });
                whole && doc.any(|line| line.contains("compile_fail"))
            })
        })
    }

    /// What is wrong with one name of the table's last column; `around` is what stands before it.
    fn complaint(&self, name: &str, before: &str) -> Option<String> {
        let wrong = |what: &str| Some(format!("`{name}` is no {what}"));
        let suite = name.split_once('.').filter(|(suite, test)| {
            let word = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            word(suite) && word(test) && *test != "rs"
        });
        let examples = before.rfind("example").is_some_and(|at| !before[at..].contains([';', '.']));
        if let Some(way) =
            name.strip_prefix("fallow.crash=").or_else(|| name.strip_prefix("rcu-").map(|_| name))
        {
            let known = self.sources.contains(&format!("(\"{way}\", |"));
            if known { None } else { wrong("way to crash") }
        } else if suite.is_some() {
            if self.guest.contains(name) { None } else { wrong("test of the kernel or the programs") }
        } else if examples {
            if self.has_misuse(name) { None } else { wrong("place of an example that does not compile") }
        } else if name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            let known = self.host.contains(name) || NO_TESTS.contains(&name);
            if known { None } else { wrong("test of the host") }
        } else {
            None
        }
    }

    /// A mutant's name, perhaps with `...` for its begin or end.
    fn is_mutant(&self, name: &str) -> bool {
        let part = name.trim_matches('.').trim();
        self.mutants.iter().any(|known| match (name.starts_with("..."), name.ends_with("...")) {
            (false, false) => known == part,
            (true, false) => known.ends_with(part),
            (false, true) => known.starts_with(part),
            (true, true) => known.contains(part),
        })
    }
}

#[test]
fn each_hazard_names_a_test_that_exists() {
    let known = Known::read();
    assert!(known.host.len() > 100 && known.guest.len() > 50 && known.mutants.len() > 70);
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/hazards.md");
    let table = fs::read_to_string(table).expect("the table");
    let mut complaints = vec![];
    let mut expected = 1;
    for line in table.lines().filter(|line| line.starts_with("| H")) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let &[number, hazard, defence, shown] = &cells[..] else {
            panic!("not four columns: {line}");
        };
        assert_eq!(number, format!("H{expected}"), "a hazard is missing, or out of order");
        assert!(!hazard.is_empty() && !defence.is_empty() && !shown.is_empty(), "{number} says nothing");
        expected += 1;
        let parts: Vec<_> = shown.split('`').collect();
        let mut before = String::new();
        for (at, part) in parts.iter().enumerate() {
            if at % 2 == 1 {
                complaints.extend(known.complaint(part, &before).map(|what| format!("{number}: {what}")));
            }
            before.push_str(part);
        }
        if let Some((_, mutants)) = shown.split_once("mutant") {
            let names = mutants.split('"').skip(1).step_by(2);
            let unknown = names.filter(|name| !known.is_mutant(name));
            complaints.extend(unknown.map(|name| format!("{number}: no mutant is called {name:?}")));
        }
    }
    assert_eq!(expected, 45, "H1 to H44");
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
