use super::*;
use proptest::prelude::*;

fn line(text: &str) -> CommandLine<'_> {
    CommandLine::new(text.as_bytes())
}

fn names(words: impl Iterator<Item = impl fmt::Display>) -> Vec<String> {
    words.map(|word| word.to_string()).collect()
}

#[test]
fn values_and_flags() {
    let line = line("quiet mem=64M nr-cpus=2 nr_cpus=3  init=\"/bin/sh x\" \"console=a b\"\tloglevel=0x7");
    assert!(line.flag("quiet") && !line.flag("debug"));
    assert_eq!(line.size("mem"), Some(64 << 20));
    assert_eq!(line.number("nr_cpus"), Some(3), "the last one counts");
    assert_eq!(line.text("init"), Some(&b"/bin/sh x"[..]));
    assert_eq!(line.text("console"), Some(&b"a b"[..]));
    assert_eq!(line.number("loglevel"), Some(7));
}

#[test]
fn what_nothing_asks_for_is_said() {
    let line = line("quiet panic=5 oops=panic console=x");
    assert_eq!(names(line.complaints()), ["'panic=5' has no effect yet", "'console=x' has no effect yet"]);
}

#[test]
fn init_gets_what_is_unknown_and_what_follows_the_dashes() {
    let line = line("root=/dev/x quiet single -- mem=1 -- -v");
    assert_eq!(names(line.for_init()), ["root=/dev/x", "single", "mem=1", "--", "-v"]);
    assert_eq!(line.size("mem"), None, "behind the dashes it is init's");
    assert_eq!(
        names(line.complaints()),
        ["unknown parameter 'root=/dev/x', kept for init", "unknown parameter 'single', kept for init"]
    );
}

#[test]
fn bad_values_leave_the_default_and_are_named() {
    let line =
        line("nr_cpus=zero mem=99999999999999T quiet=1 pgtable.free=never loglevel=-1 mem= loglevel=+1");
    assert_eq!(line.number("nr_cpus"), None);
    assert_eq!(line.size("mem"), None);
    assert!(!line.flag("quiet"));
    let complaints = names(line.complaints());
    assert_eq!(complaints.len(), 7);
    assert_eq!(complaints[0], "bad value in 'nr_cpus=zero', ignored: a number from 1 to 4096 is wanted");
    assert_eq!(
        complaints[3],
        "bad value in 'pgtable.free=never', ignored: one of immediate ipi rcu is wanted"
    );
}

#[test]
fn a_bad_value_does_not_hide_a_good_one() {
    assert_eq!(line("nr_cpus=2 nr_cpus=x").number("nr_cpus"), Some(2));
}

#[test]
fn the_list_is_sorted_and_without_doubles() {
    assert!(KNOWN.windows(2).all(|pair| pair[0].name < pair[1].name));
}

proptest! {
    #[test]
    fn any_bytes_are_a_command_line(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let line = CommandLine::new(&bytes);
        let _ = (line.to_string(), names(line.complaints()), names(line.for_init()));
        for parameter in KNOWN {
            let _ = (line.text(parameter.name), line.number(parameter.name), line.size(parameter.name));
        }
        let words: Vec<Word<'_>> = line.words().collect();
        prop_assert!(words.iter().all(|word| !word.name.is_empty() || word.has_value || bytes.contains(&b'"')));
        prop_assert!(line.to_string().is_ascii());
    }

    #[test]
    fn words_are_what_blanks_separate(words in proptest::collection::vec("[a-z]{1,5}(=[a-z0-9]{0,5})?", 0..20)) {
        let text = words.join(" ");
        prop_assert_eq!(names(line(&text).words()), words);
    }

    #[test]
    fn sizes_round_trip(n in 0u64..1 << 24, suffix in 0usize..5) {
        let text = format!("mem={n}{}", ["", "K", "M", "G", "T"][suffix]);
        let want = (n > 0).then(|| n << (10 * suffix));
        prop_assert_eq!(line(&text).size("mem"), want);
    }
}
