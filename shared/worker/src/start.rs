//! What every processor does before its first event.

use std::{future::Future, process::ExitCode};

use aws::{Clients, Deps};
use lambda_runtime::{LambdaEvent, service_fn};
use piecework_core::{Settings, settings::SettingError};
use serde::Serialize;
use serde_json::Value;

/// Reads settings, builds what the processor works with, and serves events until the sandbox ends.
pub(crate) fn serve<D, X, F, Fut, R>(
    extra: impl FnOnce(&Settings, &Clients) -> Result<X, SettingError>,
    handle: F,
) -> ExitCode
where
    D: Deps,
    X: Clone,
    F: Fn(D, X, LambdaEvent<Value>) -> Fut,
    Fut: Future<Output = Result<R, lambda_runtime::Error>>,
    R: Serialize,
{
    aws::start(
        |settings| {
            let clients = Clients::new();
            Ok((D::new(settings, &clients)?, extra(settings, &clients)?))
        },
        |(deps, extra)| async move {
            let service = service_fn(|event: LambdaEvent<Value>| {
                let work = handle(deps.clone(), extra.clone(), event);
                async {
                    let outcome = work.await;
                    aws::report_errors().await;
                    outcome
                }
            });
            lambda_runtime::run(service).await
        },
    )
}
