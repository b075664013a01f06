//! The interactive shell, driven as a person would: a key, an answer, the next key. Job control,
//! pipelines, and programs that take the whole screen.

use super::programs::{MACHINES, System, boot};
use super::{Context, Suite, Tally};
use crate::guest::Input;
use crate::machine::{Guest, Machine};
use crate::options::Test;
use crate::progress::Task;

/// One suite a machine.
pub fn suites(options: &Test) -> Vec<Suite> {
    let mut all = Vec::new();
    for &system in System::wanted(options) {
        for machine in MACHINES {
            let name = format!("{} {} shell", system.prefix(), machine.name());
            all.push(Suite::new(name, move |context, task, tally| {
                session(system, machine, context, task, tally)
            }));
        }
    }
    all
}

const PROMPT: &str = "~ # ";

/// What is heard, then what is typed. A program says that it runs (in words that the echo of the
/// command line does not contain) before a key is meant for it: until then the key would be the
/// shell's.
const SESSION: &[(&str, &str)] = &[
    (PROMPT, "echo a''b\n"),
    ("\nab\r\n", ""),
    // Editing: a letter too many is taken back, and so is a word.
    (PROMPT, "echo wrongg\u{7f}''x nothing\u{17}\n"),
    ("\nwrongx\r\n", ""),
    // ^C ends what runs in the foreground, not the shell.
    (PROMPT, "sh -c 'echo sta\"\"rted; exec sleep 1000'\n"),
    ("\nstarted\r\n", "\u{3}"),
    (PROMPT, "echo status $?\n"),
    ("\nstatus 130\r\n", ""),
    // ^\ too: of a program that shows that it runs. (A shell does not care for it before it executes one.)
    (PROMPT, "sh -c 'echo sta\"\"rted; exec cat'\n"),
    ("\nstarted\r\n", "typed\n"),
    ("typed\r\ntyped\r\n", "\u{1c}"),
    (PROMPT, "echo status $?\n"),
    ("\nstatus 131\r\n", ""),
    // ^Z stops it; fg takes it back, and it comes to its end.
    (PROMPT, "sh -c 'echo sta\"\"rted; sleep 1; echo do\"\"ne'\n"),
    ("\nstarted\r\n", "\u{1a}"),
    ("Stopped", ""),
    (PROMPT, "jobs\n"),
    ("Stopped", ""),
    (PROMPT, "fg\n"),
    ("\ndone\r\n", ""),
    // bg lets it go on beside.
    (PROMPT, "sh -c 'echo sta\"\"rted; sleep 1; echo do\"\"ne'\n"),
    ("\nstarted\r\n", "\u{1a}"),
    (PROMPT, "bg\n"),
    (PROMPT, "wait; echo all en''ded\n"),
    ("all ended", ""),
    (PROMPT, "sleep 1000 & kill -9 %1; wait %1; echo status $?\n"),
    ("\nstatus 137\r\n", ""),
    // The end of a file; a line that is cooked.
    (PROMPT, "sh -c 'echo sta\"\"rted; exec cat'; echo be''hind\n"),
    ("\nstarted\r\n", "fixx\u{7f}ed\n"),
    ("\nfixed\r\n", "\u{4}"),
    ("behind\r\n", ""),
    // Pipelines.
    (PROMPT, "seq 1 500 | sort -rn | head -n 3 | tail -n 1 | sed s/4/four/\n"),
    ("\nfour98\r\n", ""),
    (PROMPT, "yes | head -n 20000 | wc -l\n"),
    ("\n20000\r\n", ""),
    (PROMPT, "for i in 1 2 3; do echo -n $i; done > /tmp/o; cat /tmp/o; echo \"<\"\n"),
    ("\n123<\r\n", ""),
    // ^C of a whole pipeline.
    (PROMPT, "sh -c 'echo sta\"\"rted >&2; yes' | cat > /dev/null\n"),
    ("\nstarted\r\n", "\u{3}"),
    (PROMPT, "ps\n"),
    ("PID", ""),
    ("{init}", ""),
    ("sh -l", ""),
    (PROMPT, "top -b -n1\n"),
    ("Mem:", ""),
    ("CPU:", ""),
    ("Load average:", ""),
    (PROMPT, "free; df /tmp; mount\n"),
    ("Mem:", ""),
    ("/proc", ""),
    // An editor on the whole screen: types a line, leaves, and the file is there. (It shows what is
    // typed in one piece or in several, and puts the cursor behind it.)
    (PROMPT, "vi /tmp/text\n"),
    ("[?1049h", ""),
    ("/tmp/text", "ihello from vi"),
    ("[1;14H", "\u{1b}"),
    ("- /tmp/text", ":wq\n"),
    (PROMPT, "cat /tmp/text\n"),
    ("\nhello from vi\r\n", ""),
    // less: a screen of it, then q.
    (PROMPT, "seq 1 100 | less\n"),
    ("standard input", "q"),
    (PROMPT, "stty rows 40 cols 100; stty size\n"),
    ("\n40 100\r\n", ""),
    (PROMPT, "echo the la''st\n"),
    ("the last\r\n", ""),
    (PROMPT, "exit\n"),
];

fn session(
    system: System,
    machine: Machine,
    context: &Context,
    task: &Task,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let guest = Guest::new(machine);
    let input = Input::Dialogue(SESSION);
    let Some((finished, _)) = boot(system, guest, None, input, context, task, tally)? else {
        return Ok(());
    };
    let last = finished.console.contains("the last");
    tally.check("the session", last, || "it did not come to its end".into());
    tally.passed += if last { SESSION.len() - 1 } else { 0 };
    Ok(())
}
