//! Starts everything that invokes functions on its own.

use local_gate::{Ask, Gate};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::options::StackOptions;
use crate::services::Services;
use crate::sources::Invoker;
use crate::sources::schedule::Timer;
use crate::sources::sqs::SqsPoller;
use crate::sources::stream::StreamPoller;
use crate::template::model::{EventSource, Model, SourceKind};
use crate::{Error, arn, stream_of};

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
        services: &Services,
        invoker: &Invoker,
        gate: &Gate,
    ) -> Result<Self, Error> {
        let this = Self::default();
        let (dynamo, sqs) = (&services.dynamo, &services.sqs);
        for source in &model.sources {
            permitted(source, gate)?;
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

/// Lambda polls in the name of the function's role, and refuses a mapping whose role may not do what polling takes ("Configuring
/// permissions" of each event source in the Lambda guide).
fn permitted(source: &EventSource, gate: &Gate) -> Result<(), Error> {
    if source.by_sam {
        return Ok(());
    }
    let asks = |actions: &[&str], resource: &str| -> Vec<Ask> {
        let ask = |action: &&str| Ask { action: (*action).to_owned(), resource: resource.to_owned() };
        actions.iter().map(ask).collect()
    };
    let needed = match &source.kind {
        SourceKind::Sqs(sqs) => asks(
            &["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
            &arn("sqs", &sqs.queue),
        ),
        SourceKind::Stream(stream) => {
            let actions = [
                "dynamodb:DescribeStream",
                "dynamodb:GetRecords",
                "dynamodb:GetShardIterator",
                "dynamodb:ListStreams",
            ];
            let resource = arn("dynamodb", &stream_of(&stream.table));
            let failed = stream.on_failure.iter().flat_map(|q| asks(&["sqs:SendMessage"], &arn("sqs", q)));
            asks(&actions, &resource).into_iter().chain(failed).collect()
        }
        SourceKind::Schedule(_) => Vec::new(),
    };
    match needed.into_iter().find(|ask| !gate.allows(&source.function, ask)) {
        None => Ok(()),
        Some(Ask { action, resource }) => Err(Error::Resource {
            id: format!("an event source of {}", source.function),
            reason: format!("the function's role may not {action} on {resource}"),
        }),
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
