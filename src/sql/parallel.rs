//! Work that may be done in any order, on as many threads as there are cores; its results come in the
//! order of its items, whatever the threads did.

use std::{
    cell::Cell,
    iter,
    num::NonZero,
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Receiver, SyncSender},
    },
    thread::{self, Scope},
    time::Duration,
};

/// Room for a tree thousands of levels deep, which is decoded and dropped recursively. libpg_query itself
/// gives up ("stack depth limit exceeded") long before this is used up.
const STACK: usize = 1 << 30;

/// How many results each thread may be ahead of whoever takes them.
const AHEAD: usize = 8;

/// Below this many bytes of SQL, starting threads takes longer than reading it.
pub(crate) const WORTHWHILE: usize = 64 << 10;

thread_local! {
    /// Whether this is one of the threads made here.
    static LARGE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` where a deep tree cannot overflow the stack.
pub(crate) fn with_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if LARGE.get() {
        return work();
    }
    thread::scope(|scope| finish(spawn(scope, work)))
}

/// Waits for a thread; its panic goes on here.
fn finish<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Drops what holds many trees on another thread, and not at once: that takes as long as a tenth of a check,
/// and what is left of it when the program ends need not be dropped at all.
pub(crate) fn drop_aside<T: Send + 'static>(value: T) {
    let thread = thread::Builder::new().name("dropper".into()).stack_size(STACK);
    // Where no thread can be had, the closure is dropped here, with the value.
    let _ = thread.spawn(move || {
        thread::sleep(Duration::from_secs(1));
        drop(value);
    });
}

/// Does `work` on each item, and gives the results to `take`, in the items' order, as they are made.
/// With `alone`, all of it happens on this thread, each item when it is asked for.
///
/// Must run under [`with_large_stack`] where `work` needs it; the threads are.
pub(crate) fn in_order<I: Sync, O: Send, T>(
    items: &[I],
    alone: bool,
    work: impl Fn(&I) -> O + Sync,
    take: impl FnOnce(&mut dyn Iterator<Item = O>) -> T,
) -> T {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(items.len());
    if alone || threads < 2 {
        return take(&mut items.iter().map(work));
    }
    thread::scope(|scope| {
        let work = &work;
        let results: Vec<Receiver<O>> = (0..threads)
            .map(|first| {
                let (sender, receiver) = mpsc::sync_channel(AHEAD);
                spawn(scope, move || send(&sender, items.iter().skip(first).step_by(threads).map(work)));
                receiver
            })
            .collect();
        // A thread that panics sends nothing more: the scope passes its panic on.
        take(&mut results.iter().cycle().take(items.len()).map_while(|results| results.recv().ok()))
    })
}

/// Does `work` on each item, whoever is free on the next, and returns the results in the items' order. With
/// `alone`, all of it happens on this thread.
///
/// For what [`in_order`] would keep threads waiting with: few items, some of them long.
pub(crate) fn each<I: Send, O: Send>(items: Vec<I>, alone: bool, work: impl Fn(I) -> O + Sync) -> Vec<O> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(items.len());
    if alone || threads < 2 {
        return items.into_iter().map(work).collect();
    }
    let items = Mutex::new(items.into_iter().enumerate());
    let take = || {
        let (at, item) = items.lock().unwrap_or_else(PoisonError::into_inner).next()?;
        Some((at, work(item)))
    };
    let mut done: Vec<(usize, O)> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..threads).map(|_| spawn(scope, || iter::from_fn(take).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(finish).collect()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Sends results until nobody wants them any more.
fn send<O>(sender: &SyncSender<O>, results: impl Iterator<Item = O>) {
    for result in results {
        if sender.send(result).is_err() {
            return;
        }
    }
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> thread::ScopedJoinHandle<'scope, T> {
    let work = || {
        LARGE.set(true);
        work()
    };
    match thread::Builder::new().name("parser".into()).stack_size(STACK).spawn_scoped(scope, work) {
        Ok(handle) => handle,
        // Address space is all that the size costs; a machine that refuses it can do nothing else either.
        Err(error) => panic!("cannot start the parser's thread: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        let items: Vec<usize> = (0..1000).collect();
        for alone in [true, false] {
            let squares: Vec<usize> =
                in_order(&items, alone, |item| item * item, |results| results.collect());
            assert!(squares.iter().copied().eq(items.iter().map(|item| item * item)));
            let few: Vec<usize> = in_order(&items, alone, |item| *item, |results| results.take(3).collect());
            assert_eq!(few, [0, 1, 2]);
            let squares = each(items.clone(), alone, |item| item * item);
            assert!(squares.iter().copied().eq(items.iter().map(|item| item * item)));
        }
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_is_passed_on() {
        let items: Vec<usize> = (0..100).collect();
        let work = |item: &usize| assert!(*item < 50);
        in_order(&items, false, work, |results| results.count());
    }

    #[test]
    #[should_panic(expected = "of one thread")]
    fn so_is_that_of_whoever_is_free() {
        each(vec![1, 2, 3], false, |item| assert_ne!(item, 3, "of one thread"));
    }
}
