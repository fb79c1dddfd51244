//! The correlation id: one text that follows a piece of work from the request through events and queues into every log line (P11).

use std::future::Future;

tokio::task_local! {
    static CURRENT: String;
}

/// Runs `work` with `id` as its correlation id.
pub async fn scope<F: Future>(id: String, work: F) -> F::Output {
    CURRENT.scope(id, work).await
}

/// The correlation id of the work under way, if there is one.
pub fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// A caller's own correlation id, if it is one that a log line can carry: 8 to 128 of `A-Z a-z 0-9 . _ : -`.
pub fn accept(given: &str) -> Option<String> {
    let fine = (8..=128).contains(&given.len())
        && given.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'));
    fine.then(|| given.to_owned())
}
