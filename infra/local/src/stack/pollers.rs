//! Starts everything that invokes functions on its own.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Error;
use crate::options::StackOptions;
use crate::services::dynamodb::Dynamo;
use crate::services::sqs::Sqs;
use crate::sources::Invoker;
use crate::sources::schedule::Timer;
use crate::sources::sqs::SqsPoller;
use crate::sources::stream::StreamPoller;
use crate::template::model::{Model, SourceKind};

/// The running pollers and the invocations that they have begun.
#[derive(Default)]
pub(crate) struct Pollers {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Pollers {
    pub(crate) fn start(
        model: &Model,
        options: &StackOptions,
        data: &crate::data::Data,
        dynamo: &Dynamo,
        sqs: &Sqs,
        invoker: &Invoker,
    ) -> Result<Self, Error> {
        let this = Self::default();
        for source in &model.sources {
            let (function, invoker) = (source.function.clone(), invoker.clone());
            let (stop, running) = (this.stop.clone(), this.tasks.clone());
            match &source.kind {
                SourceKind::Sqs(source) => {
                    let concurrency = concurrency(model, &function, options, source.max_concurrency);
                    let (sqs, source) = (sqs.clone(), source.clone());
                    let visibility_cap = options.visibility_cap;
                    let poller = SqsPoller {
                        sqs,
                        source,
                        function,
                        invoker,
                        concurrency,
                        visibility_cap,
                        stop,
                        running,
                    };
                    this.tasks.spawn(poller.run());
                }
                SourceKind::Stream(source) => {
                    let checkpoint = data.join("checkpoints").join(format!("{}--{function}", source.table));
                    let (stream, sqs, source) = (dynamo.stream(&source.table), sqs.clone(), source.clone());
                    let poller = StreamPoller { stream, source, function, invoker, checkpoint, sqs, stop };
                    this.tasks.spawn(poller.run());
                }
                SourceKind::Schedule(source) => {
                    // Parsed even where it does not fire, so that a wrong one never gets past a test.
                    let schedule = source.expression.parse()?;
                    if options.schedules {
                        let source = source.clone();
                        this.tasks.spawn(Timer { source, schedule, function, invoker, stop }.run());
                    }
                }
            }
        }
        Ok(this)
    }

    /// Ends the polling; invocations in progress get a moment to finish.
    pub(crate) async fn stop(&self, grace: std::time::Duration) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            tracing::info!("invocations were still running; their messages come again");
        }
    }
}

impl Drop for Pollers {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Sandboxes of a function.
pub(crate) fn sandboxes(reserved: Option<u32>, options: &StackOptions) -> usize {
    reserved.map_or(options.max_concurrency, |n| n as usize).max(1)
}

fn concurrency(model: &Model, function: &str, options: &StackOptions, mapping: Option<usize>) -> usize {
    let reserved = model.function(function).and_then(|f| f.reserved_concurrency);
    mapping.unwrap_or(usize::MAX).min(sandboxes(reserved, options))
}
