//! Lambda's Invoke API: `POST /2015-03-31/functions/{name}/invocations`.

use crate::{
    InvokeError, MAX_EVENT_BYTES, MAX_REQUEST_BYTES,
    http1::{Answer, Body, json, read},
    service::{Extras, Invoked, Shared},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use std::sync::Arc;

pub(crate) async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let name = path.strip_prefix("/2015-03-31/functions/").and_then(|rest| rest.strip_suffix("/invocations"));
    let (Some(name), &Method::POST) = (name, request.method()) else {
        return refuse(StatusCode::NOT_FOUND, "UnknownOperationException", &json!({}));
    };
    let name = function_name(&percent_encoding::percent_decode_str(name).decode_utf8_lossy());
    if !shared.knows(&name) {
        let message = format!("Function not found: {}", shared.function_arn(&name));
        return refuse(
            StatusCode::NOT_FOUND,
            "ResourceNotFoundException",
            &json!({"Type": "User", "Message": message}),
        );
    }
    let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let kind = header("x-amz-invocation-type").unwrap_or_else(|| "RequestResponse".to_owned());
    let context =
        header("x-amz-client-context").map(|encoded| BASE64_STANDARD.decode(encoded).map(String::from_utf8));
    let client_context = match context {
        None => None,
        Some(Ok(Ok(context))) => Some(context),
        Some(_) => return invalid("Client context must be a valid Base64-encoded JSON object."),
    };
    let extras = Extras { trace: header("x-amzn-trace-id"), client_context };
    let limit = if kind == "Event" { MAX_EVENT_BYTES } else { MAX_REQUEST_BYTES };
    let payload = match read(request.into_body(), limit).await {
        // No payload is an empty event.
        Body::Whole(payload) if payload.is_empty() => Bytes::from_static(b"{}"),
        Body::Whole(payload) => payload,
        Body::TooLarge => {
            let message =
                format!("Request must be smaller than {limit} bytes for the InvokeFunction operation");
            let body = json!({"Type": "User", "message": message});
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", &body);
        }
        Body::Broken => return invalid("Could not read the request body"),
    };
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&payload) {
        return invalid(&format!("Could not parse request body into json: {error}"));
    }
    match kind.as_str() {
        "RequestResponse" => answer(shared.invoke(&name, payload, extras, limit, false).await),
        "Event" => {
            tokio::spawn(async move {
                let invoked = shared.invoke(&name, payload, extras, limit, false).await;
                if let Err(error) = invoked.result {
                    tracing::warn!(function = name, request_id = invoked.request_id, %error, "Event invocation");
                }
            });
            executed(json(StatusCode::ACCEPTED, Bytes::new()), None)
        }
        "DryRun" => executed(json(StatusCode::NO_CONTENT, Bytes::new()), None),
        other => {
            let message = format!("Value '{other}' at 'invocationType' failed to satisfy constraint");
            refuse(
                StatusCode::BAD_REQUEST,
                "InvalidParameterValueException",
                &json!({"Type": "User", "message": message}),
            )
        }
    }
}

/// The name in `name`, `name:qualifier`, `account:function:name`, or an ARN.
fn function_name(given: &str) -> String {
    let name = given.split_once("function:").map_or(given, |(_, rest)| rest);
    name.split(':').next().unwrap_or(name).to_owned()
}

fn answer(invoked: Invoked) -> Answer {
    let id = &invoked.request_id;
    let unhandled = |error_type: &str, message: String| {
        json!({"errorType": error_type, "errorMessage": format!("RequestId: {id} Error: {message}")})
            .to_string()
            .into()
    };
    let payload: Bytes = match invoked.result {
        Ok(payload) => return executed(json(StatusCode::OK, payload), Some(id)),
        Err(InvokeError::FunctionError { payload }) => payload,
        Err(error @ InvokeError::TimedOut { .. }) => unhandled("Sandbox.Timedout", error.to_string()),
        Err(error @ InvokeError::Crashed { .. }) => unhandled("Runtime.ExitError", error.to_string()),
        Err(InvokeError::ResponseTooLarge) => {
            let message = InvokeError::ResponseTooLarge.to_string();
            json!({"errorType": "Function.ResponseSizeTooLarge", "errorMessage": message}).to_string().into()
        }
        Err(InvokeError::InitFailed { message }) => {
            // What the function said of itself, if it said anything.
            let said = serde_json::from_str::<serde_json::Value>(&message).is_ok_and(|v| v.is_object());
            if said { message.into() } else { unhandled("Runtime.ExitError", message) }
        }
        Err(error @ (InvokeError::Throttled | InvokeError::Closed)) => {
            let body =
                json!({"Type": "User", "Reason": "CallerRateLimitExceeded", "message": error.to_string()});
            return refuse(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", &body);
        }
        Err(error @ (InvokeError::UnknownFunction | InvokeError::PayloadTooLarge { .. })) => {
            return invalid(&error.to_string());
        }
    };
    let mut answer = executed(json(StatusCode::OK, payload), Some(id));
    answer.headers_mut().insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
    answer
}

/// Adds the headers of an accepted invocation.
fn executed(mut answer: Answer, request_id: Option<&String>) -> Answer {
    let headers = answer.headers_mut();
    headers.insert("x-amz-executed-version", HeaderValue::from_static("$LATEST"));
    if let Some(id) = request_id.and_then(|id| HeaderValue::try_from(id.as_str()).ok()) {
        headers.insert("x-amzn-requestid", id);
    }
    answer
}

fn invalid(message: &str) -> Answer {
    refuse(
        StatusCode::BAD_REQUEST,
        "InvalidRequestContentException",
        &json!({"Type": "User", "message": message}),
    )
}

fn refuse(status: StatusCode, error_type: &'static str, body: &serde_json::Value) -> Answer {
    let mut answer = json(status, body.to_string());
    answer.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(error_type));
    answer
}
