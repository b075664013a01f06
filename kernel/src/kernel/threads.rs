//! The kernel's own threads.

use core::fmt::Write;
use fallow::arch::current::power;
use fallow::cpus::CpuSet;
use fallow::error::Errno;
use fallow::mm::{self, frame::Reclaim};
use fallow::proc::sched;
use fallow::proc::thread::Spawn;
use fallow::sync::MaySleep;
use fallow::trace::Groups;
use fallow::{cmdline, rcu};

/// Starts RCU's threads: one that drives grace periods, and one for each CPU that invokes its
/// callbacks. They run before all others: everybody's memory waits for them.
pub fn start(ctx: &mut MaySleep) {
    if let Some(seconds) = cmdline::get().number("rcupdate.rcu_cpu_stall_timeout") {
        rcu::kernel::set_stall_timeout(seconds * 1_000_000_000);
    }
    if let Err(error) = start_rcu() {
        panic!("RCU's threads do not start: {error:?}");
    }
    // It may begin on another CPU. Who waits for a grace period needs it there.
    while !rcu::global::RCU.is_driven() {
        sched::sleep(ctx, 100_000);
    }
    trace(ctx);
    if let Some(first) = power::heartbeat() {
        let beat = move |ctx: &mut MaySleep| {
            let mut next = Some(first);
            while let Some(nanoseconds) = next {
                sched::sleep(ctx, nanoseconds);
                next = power::heartbeat();
            }
        };
        if let Err(error) = Spawn::new("firmware").spawn(beat).map(drop) {
            panic!("no thread for the firmware: {error:?}");
        }
    }
    // Never refused: there is room for the few that the kernel has.
    let _ = mm::frames().on_shortage(Reclaim::Wait(rcu::reclaim));
}

fn start_rcu() -> Result<(), Errno> {
    drop(Spawn::new("rcu_gp").high().spawn(rcu::driver_main)?);
    for cpu in sched::online_cpus().iter() {
        let mut name = arrayvec::ArrayString::<15>::new();
        // "rcuc/" and two digits fit.
        let _ = write!(name, "rcuc/{cpu}");
        drop(Spawn::new(&name).high().on(CpuSet::one(cpu)).spawn(move |ctx| rcu::invoker_main(ctx, cpu))?);
    }
    Ok(())
}

/// `trace_event=`
fn trace(ctx: &mut MaySleep) {
    let Some(names) = cmdline::get().text("trace_event") else { return };
    let result = match core::str::from_utf8(names).map_or(Err("?"), Groups::parse) {
        Ok(groups) => mm::tracing::turn_on(groups, sched::online_cpus(), ctx),
        Err(name) => {
            log::error!(target: "trace", "there is no group of events called '{name}'");
            return;
        }
    };
    if let Err(error) = result {
        log::error!(target: "trace", "no memory for events: {error:?}");
    }
}
