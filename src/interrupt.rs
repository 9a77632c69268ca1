//! SIGINT and SIGTERM, turned into a flag that loops look at and into hooks that end what blocks.
//!
//! GitHub sends a cancelled job SIGINT, SIGTERM about seven seconds later, and SIGKILL soon after
//! that: what must be undone has those seconds. Nothing here decides what that is. Only where the
//! other side of a connection does not answer any more is the process ended from here.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, LazyLock, Mutex, Once, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

type Hook = Arc<dyn Fn() + Send + Sync>;

/// How long after the signal an answer is waited for.
const PATIENCE: Duration = Duration::from_millis(1700);

static REQUESTED: AtomicBool = AtomicBool::new(false);
static HOOKS: LazyLock<Mutex<BTreeMap<u64, Hook>>> = LazyLock::new(Mutex::default);
static LAST_WORDS: Mutex<Option<Box<dyn Fn() + Send>>> = Mutex::new(None);
/// Since when an answer is waited for.
static WAITING: Mutex<Option<Instant>> = Mutex::new(None);

/// From the first call on, signals no longer end the process: whoever calls this looks at
/// [`requested`].
pub(crate) fn watch() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let signals =
            signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM]);
        let Ok(mut signals) = signals else {
            log::warn!("signals cannot be watched: an interrupted run will be cleaned up by the server");
            return;
        };
        std::thread::spawn(move || {
            for (count, _) in signals.forever().enumerate() {
                if !REQUESTED.swap(true, Ordering::SeqCst) {
                    std::thread::spawn(insist);
                    std::thread::spawn(give_up_waiting);
                }
                // Whoever asks a third time does not want to wait for us.
                if count >= 2 {
                    std::process::exit(130);
                }
            }
        });
    });
}

/// Runs the hooks until the process ends: a cancel that arrives between two texts is lost.
fn insist() {
    loop {
        let hooks: Vec<Hook> =
            HOOKS.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        hooks.iter().for_each(|hook| hook());
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Ends the process when an answer does not come.
fn give_up_waiting() {
    std::thread::sleep(PATIENCE);
    loop {
        let since = *WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        if since.is_some_and(|since| since.elapsed() > Duration::from_millis(250)) {
            if let Some(words) = LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner).take() {
                words();
            }
            std::process::exit(130);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What is to be said when the process ends because an answer did not come.
pub(crate) fn last_words(words: impl Fn() + Send + 'static) {
    *LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(words));
}

/// Does something that waits for the other side of a connection. After a signal that wait is not
/// endless.
pub(crate) fn waiting<T>(work: impl FnOnce() -> T) -> T {
    *WAITING.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    let outcome = work();
    *WAITING.lock().unwrap_or_else(PoisonError::into_inner) = None;
    outcome
}

/// Whether a signal has asked us to stop.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

/// Waits, unless or until a signal arrives. Returns whether the time was waited out.
pub(crate) fn sleep(duration: Duration) -> bool {
    let end = Instant::now() + duration;
    while !requested() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(Duration::from_millis(25)));
    }
    false
}

/// Runs `hook` after a signal, again and again, for as long as the returned value lives.
pub(crate) fn on_signal(hook: impl Fn() + Send + Sync + 'static) -> OnSignal {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    watch();
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    HOOKS.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::new(hook));
    OnSignal(id)
}

/// Keeps a hook in place.
#[derive(Debug)]
pub(crate) struct OnSignal(u64);

impl Drop for OnSignal {
    fn drop(&mut self) {
        HOOKS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}
