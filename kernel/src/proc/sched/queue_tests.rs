use super::*;
use crate::cpus::CpuSet;
use crate::sync::context::TaskContext;
use proptest::prelude::*;
use std::collections::VecDeque;

/// A thread that never runs; it is never freed, like a static one.
fn thread(priority: Priority) -> ThreadRef {
    let thread = Box::leak(Box::new(Thread::new(TaskContext::new("test"), priority, 0, 1)));
    thread.set_allowed(CpuSet::ALL);
    // SAFETY: leaked: it lives for ever.
    unsafe { UnsafeRef::from_raw(thread) }
}

/// A queue of CPU 0, whose idle thread runs.
fn queue() -> (RunQueue, ThreadRef) {
    let idle = thread(Priority::Idle);
    let mut queue = RunQueue::new();
    queue.begin(idle.clone());
    (queue, idle)
}

fn same(a: &ThreadRef, b: &ThreadRef) -> bool {
    core::ptr::eq(&**a, &**b)
}

#[test]
fn an_empty_queue_runs_the_idle_thread() {
    let (mut queue, idle) = queue();
    queue.put_back(&idle);
    assert_eq!(queue.waiting(), 0, "the idle thread waits in no line");
    assert!(same(&queue.take_next(), &idle));
    assert_eq!(queue.next_tick, u64::MAX, "an idle CPU has no tick");
}

#[test]
fn who_preempts_whom() {
    let (mut queue, idle) = queue();
    assert!(queue.put(thread(Priority::Normal)), "anybody before the idle thread");
    assert!(idle.context().need_resched());
    let running = queue.take_next();
    assert!(queue.next_tick < u64::MAX, "a running thread has a slice");
    assert!(!queue.put(thread(Priority::Normal)));
    assert!(!running.context().need_resched());
    assert!(queue.put(thread(Priority::High)));
    assert!(running.context().need_resched());
}

#[test]
fn a_slice_ends_only_for_somebody_else() {
    let (mut queue, _) = queue();
    queue.put(thread(Priority::Normal));
    let running = queue.take_next();
    let end = queue.next_tick;
    assert!(!queue.tick(end - 1));
    assert!(queue.tick(end));
    assert!(!running.context().need_resched(), "nobody waits");
    queue.put(thread(Priority::Normal));
    let end = queue.next_tick;
    assert!(queue.tick(end));
    assert!(running.context().need_resched());
}

#[test]
fn who_is_preempted_goes_on_with_its_slice() {
    let (mut queue, _) = queue();
    let [first, second] = [Priority::Normal, Priority::Normal].map(thread);
    let high = thread(Priority::High);
    queue.put(first.clone());
    queue.put(second.clone());
    assert!(same(&queue.take_next(), &first));
    queue.put(high.clone());
    queue.put_back_preempted(&first);
    assert!(same(&queue.take_next(), &high));
    queue.block(&high, None);
    assert!(same(&queue.take_next(), &first), "within its slice");
    assert!(queue.tick(queue.next_tick));
    queue.put_back_preempted(&first);
    assert!(same(&queue.take_next(), &second), "the slice is over");
    queue.put_back(&second);
    assert!(same(&queue.take_next(), &first), "it went by itself");
    assert_eq!(queue.waiting(), 1);
}

#[test]
fn a_slice_ends_while_somebody_else_runs() {
    let (mut queue, _) = queue();
    let [first, second] = [Priority::Normal, Priority::Normal].map(thread);
    let high = thread(Priority::High);
    queue.put(first.clone());
    queue.put(second.clone());
    queue.take_next();
    queue.put(high.clone());
    queue.put_back_preempted(&first);
    queue.take_next();
    assert!(queue.tick(queue.next_tick));
    queue.block(&high, None);
    assert!(same(&queue.take_next(), &second), "or it could go on for ever");
    assert!(same(&queue.take_next(), &first));
}

#[test]
fn a_leaving_cpu_runs_its_idle_thread_only() {
    let (mut queue, idle) = queue();
    queue.put(thread(Priority::High));
    queue.leaving = true;
    assert!(same(&queue.take_next(), &idle));
    assert_eq!(queue.waiting(), 1);
    assert!(queue.take_ready().is_some());
}

#[test]
fn another_cpu_takes_only_what_may_run_there() {
    let (mut queue, _) = queue();
    let [bound, free, high] = [Priority::Normal, Priority::Normal, Priority::High].map(thread);
    bound.set_allowed(CpuSet::one(0));
    high.set_allowed(CpuSet::one(0));
    for thread in [&bound, &free, &high] {
        queue.put(thread.clone());
    }
    assert!(queue.take_for(1).is_some_and(|taken| same(&taken, &free)));
    assert!(queue.take_for(1).is_none());
    assert_eq!(queue.waiting(), 2);
}

#[test]
fn a_woken_sleeper_is_no_longer_due() {
    let (mut queue, _) = queue();
    let sleepers = [5, 3, 4].map(|time| (thread(Priority::Normal), time));
    for (sleeper, time) in &sleepers {
        queue.block(sleeper, Some(*time));
    }
    queue.stop_timer(&sleepers[1].0);
    queue.stop_timer(&sleepers[1].0);
    assert!(queue.take_due(3).is_none());
    assert!(queue.take_due(9).is_some_and(|first| same(&first, &sleepers[2].0)));
    assert!(queue.take_due(9).is_some_and(|second| same(&second, &sleepers[0].0)));
    assert!(queue.take_due(9).is_none());
}

proptest! {
    /// Against two plain lines: who waits longest in the higher one is next.
    #[test]
    fn first_come_first_served_within_a_priority(steps in proptest::collection::vec(0u8..4, 0..60)) {
        let (mut queue, _) = queue();
        let (mut high, mut normal) = (VecDeque::new(), VecDeque::new());
        for step in steps {
            match step {
                0 => {
                    let new = thread(Priority::High);
                    high.push_back(new.clone());
                    queue.put(new);
                }
                1 => {
                    let new = thread(Priority::Normal);
                    normal.push_back(new.clone());
                    queue.put(new);
                }
                _ => {
                    let want = high.pop_front().or_else(|| normal.pop_front());
                    let got = queue.take_ready();
                    prop_assert_eq!(want.is_some(), got.is_some());
                    prop_assert!(want.iter().zip(&got).all(|(want, got)| same(want, got)));
                }
            }
            prop_assert_eq!(queue.waiting() as usize, high.len() + normal.len());
        }
    }

    /// Sleepers come out by time, those of one time in the order in which they came.
    #[test]
    fn sleepers_are_sorted(times in proptest::collection::vec(0u64..8, 0..20)) {
        let (mut queue, _) = queue();
        let mut want: Vec<_> = times.iter().map(|&time| (time, thread(Priority::Normal))).collect();
        for (time, sleeper) in &want {
            queue.block(sleeper, Some(*time));
        }
        want.sort_by_key(|(time, _)| *time);
        for now in 0..8 {
            while let Some(got) = queue.take_due(now) {
                let (time, sleeper) = want.remove(0);
                prop_assert!(time <= now && same(&sleeper, &got));
            }
            prop_assert!(want.first().is_none_or(|(time, _)| *time > now));
        }
        prop_assert!(want.is_empty());
    }
}
