//! What one can ask a kernel that stays up: a key, an answer, as Linux' magic SysRq.
//!
//! Until there are programs this thread is the console's only reader.

use ::log::error;
use fallow::console;
use fallow::exit::{Status, exit};
use fallow::mm::stats::kb;
use fallow::proc::sched;
use fallow::proc::thread::Spawn;
use fallow::sync::MaySleep;
use fallow::{log, mm, rcu};

/// The keys and what each does.
const HELP: [(char, &str); 6] = [
    ('h', "this help, also ?"),
    ('m', "memory"),
    ('t', "threads of each CPU"),
    ('r', "RCU: grace periods and callbacks"),
    ('c', "crash: panics"),
    ('o', "power off"),
];

/// Starts the thread that answers.
pub fn start() {
    if let Err(error) = Spawn::new("console").spawn(answer_all) {
        error!(target: "console", "no thread to read what is typed: {error:?}");
    }
}

fn answer_all(ctx: &mut MaySleep) {
    loop {
        answer(console::read(ctx));
    }
}

fn answer(key: u8) {
    match key {
        b'h' | b'?' => HELP.iter().for_each(|(key, what)| say(format_args!("{key}: {what}"))),
        b'm' => memory(),
        b't' => threads(),
        b'r' => grace_periods(),
        b'c' => panic!("console: asked to crash"),
        b'o' => {
            say(format_args!("power off"));
            exit(Status::Ok);
        }
        // What a terminal sends behind a line, and nobody means.
        b'\r' | b'\n' => {}
        _ => say(format_args!("no such key: '{}'; h helps", key.escape_ascii())),
    }
}

fn memory() {
    say(format_args!("memory: {}", mm::frames().counts()));
    let heap = mm::kernel_heap();
    say(format_args!(
        "heap: {} kB used, {} kB of arenas",
        heap.used().div_ceil(1024),
        kb(heap.arena_frames())
    ));
    let waiting = mm::shared_frames().waiting();
    say(format_args!("waiting for a grace period: {} kB", kb(waiting)));
}

fn threads() {
    for cpu in sched::online_cpus().iter() {
        let load = sched::load(cpu);
        let running = load.running.as_ref().map_or("nothing", |name| name.as_str());
        let (ready, asleep) = (load.ready, load.asleep);
        say(format_args!("CPU {cpu}: {running} runs, {ready} ready, {asleep} asleep until a time"));
    }
}

fn grace_periods() {
    let totals = rcu::totals();
    let (queued, invoked, most) = (totals.queued(), totals.invoked, totals.most);
    say(format_args!(
        "rcu: {} grace periods, {queued} callbacks queued, {invoked} invoked, at most {most} on a CPU",
        rcu::grace_periods()
    ));
}

/// With `quiet`, too: somebody asked.
fn say(text: core::fmt::Arguments<'_>) {
    log::line(format_args!("console: {text}"));
}
