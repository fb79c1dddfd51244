//! The one thread that owns the database.
//!
//! Work that piles up while a transaction runs shares the next one, so a busy server commits once for many
//! requests. Nobody is answered before the commit that holds their work, and nobody who waits for messages is
//! woken before it either.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::error::SqsError;
use crate::store::Store;

/// Requests that may share one transaction: enough to make commits cheap, few enough to answer soon.
const SHARED: usize = 128;

struct Done {
    failed: bool,
    answer: Box<dyn FnOnce(Result<(), SqsError>)>,
}

enum Work {
    Job(Box<dyn FnOnce(&mut Store) -> Done + Send>),
    Stop,
}

/// The way to the database thread. The thread ends when told to, or when this is dropped.
#[derive(Debug)]
pub(crate) struct Writer {
    work: Sender<Work>,
}

impl Writer {
    /// Starts the thread, which owns `store` from now on.
    pub(crate) fn start(store: Store) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (work, inbox) = channel();
        let thread =
            std::thread::Builder::new().name("local-sqs".to_owned()).spawn(move || serve(store, &inbox))?;
        Ok((Self { work }, thread))
    }

    /// Runs `job` in a transaction and answers once it is committed. What a failed job wrote is undone.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Store) -> Result<T, SqsError> + Send + 'static,
    ) -> Result<T, SqsError> {
        let (reply, answered) = oneshot::channel();
        let work = Work::Job(Box::new(move |store| {
            let outcome = job(store);
            let failed = outcome.is_err();
            // A caller that went away is like a client that hung up: the work stands.
            let answer = Box::new(move |committed: Result<(), SqsError>| {
                let _ = reply.send(committed.and(outcome));
            });
            Done { failed, answer }
        }));
        self.work.send(work).map_err(|_| SqsError::Stopped)?;
        answered.await.map_err(|_| SqsError::Stopped)?
    }

    /// Ends the thread after the work that was handed in before.
    pub(crate) fn stop(&self) {
        let _ = self.work.send(Work::Stop);
    }
}

fn serve(mut store: Store, inbox: &Receiver<Work>) {
    while let Ok(Work::Job(first)) = inbox.recv() {
        let mut stop = false;
        let mut answers = Vec::new();
        let committed = store.begin().and_then(|()| {
            answers.push(attempt(&mut store, first)?);
            while answers.len() < SHARED {
                match inbox.try_recv() {
                    Ok(Work::Job(next)) => answers.push(attempt(&mut store, next)?),
                    Ok(Work::Stop) => {
                        stop = true;
                        break;
                    }
                    Err(_) => break,
                }
            }
            store.commit()
        });
        if let Err(cause) = &committed {
            tracing::error!(%cause, "the transaction was undone");
            store.undo();
        }
        for answer in answers {
            answer(committed.clone());
        }
        if stop {
            return;
        }
    }
}

type Answer = Box<dyn FnOnce(Result<(), SqsError>)>;

fn attempt(store: &mut Store, job: Box<dyn FnOnce(&mut Store) -> Done + Send>) -> Result<Answer, SqsError> {
    store.mark("SAVEPOINT job")?;
    let done = job(store);
    if done.failed {
        store.mark("ROLLBACK TO job")?;
    }
    store.mark("RELEASE job")?;
    Ok(done.answer)
}
