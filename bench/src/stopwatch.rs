//! How long this thread has been on a processor: others may use it, too.

use std::time::Duration;

use cpu_time::ThreadTime;

/// What `work` returns, and how long this thread was at it.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = ThreadTime::now();
    let result = work();
    (result, begun.elapsed())
}

/// A span in microseconds.
pub(crate) fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}
