//! Answers in a service's own words: denials, and the failures of the fault plan.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use serde_json::json;

use crate::{Ask, Fault, Service};

/// `AccessDenied`, in the words of "Troubleshoot access denied error messages" (IAM guide).
pub(crate) fn denied(service: Service, role_arn: &str, ask: &Ask) -> Response<Bytes> {
    let Ask { action, resource } = ask;
    let message = format!(
        "User: {} is not authorized to perform: {action} on resource: {resource} because no identity-based policy allows the \
         {action} action",
        role_arn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/")
    );
    match service {
        Service::DynamoDb | Service::Keys => {
            json_error(400, "com.amazon.coral.service#AccessDeniedException", &message)
        }
        Service::Sqs | Service::Ses => {
            json_error(403, "com.amazon.coral.service#AccessDeniedException", &message)
        }
        Service::S3 => xml_error(403, "AccessDenied", &message),
    }
}

/// Whether the fault can happen to this operation.
pub(crate) fn possible(service: Service, operation: &str, fault: Fault) -> bool {
    const CONFLICTING: [&str; 6] = [
        "dynamodb:TransactWriteItems",
        "dynamodb:TransactGetItems",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "dynamodb:DeleteItem",
        "dynamodb:BatchWriteItem",
    ];
    fault != Fault::Conflict || (service == Service::DynamoDb && CONFLICTING.contains(&operation))
}

/// The refusal of a fault; none if the fault is of another kind. `parts` is how many items a transaction has.
pub(crate) fn refusal(
    service: Service,
    operation: &str,
    fault: Fault,
    parts: usize,
) -> Option<Response<Bytes>> {
    const DYNAMO: &str = "com.amazonaws.dynamodb.v20120810";
    Some(match (fault, service) {
        (Fault::Throttle, Service::DynamoDb) => json_error(
            400,
            &format!("{DYNAMO}#ProvisionedThroughputExceededException"),
            "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning \
             level with the UpdateTable API.",
        ),
        (Fault::Throttle, Service::S3) => xml_error(503, "SlowDown", "Please reduce your request rate."),
        (Fault::Throttle, Service::Sqs) => {
            json_error(400, "com.amazonaws.sqs#RequestThrottled", "Request is throttled.")
        }
        (Fault::Throttle, Service::Keys) => {
            json_error(400, "com.amazonaws.kms#ThrottlingException", "Rate exceeded")
        }
        (Fault::Throttle, Service::Ses) => json_error(429, "TooManyRequestsException", "Too Many Requests"),
        (Fault::Conflict, _) if operation.starts_with("dynamodb:Transact") => {
            let reasons: Vec<_> = (0..parts.max(1))
                .map(|n| match n {
                    0 => json!({ "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" }),
                    _ => json!({ "Code": "None" }),
                })
                .collect();
            let codes: Vec<&str> = reasons.iter().filter_map(|r| r["Code"].as_str()).collect();
            let body = json!({
                "__type": format!("{DYNAMO}#TransactionCanceledException"),
                "Message": format!(
                    "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
                    codes.join(", ")
                ),
                "CancellationReasons": reasons,
            });
            answer(400, "application/x-amz-json-1.0", body.to_string())
        }
        (Fault::Conflict, _) => json_error(
            400,
            &format!("{DYNAMO}#TransactionConflictException"),
            "Transaction is ongoing for the item",
        ),
        (Fault::Fail, Service::S3) => {
            xml_error(500, "InternalError", "We encountered an internal error. Please try again.")
        }
        (Fault::Fail, Service::DynamoDb) => {
            json_error(500, &format!("{DYNAMO}#InternalServerError"), "The request could not be completed.")
        }
        (Fault::Fail, _) => {
            json_error(500, "com.amazon.coral.service#InternalFailure", "The request could not be completed.")
        }
        _ => return None,
    })
}

fn json_error(status: u16, kind: &str, message: &str) -> Response<Bytes> {
    answer(
        status,
        "application/x-amz-json-1.0",
        json!({ "__type": kind, "message": message, "Message": message }).to_string(),
    )
}

fn xml_error(status: u16, code: &str, message: &str) -> Response<Bytes> {
    // Neither code nor message has anything to escape: ARNs and our own words.
    let message = message.replace('&', "&amp;").replace('<', "&lt;");
    answer(
        status,
        "application/xml",
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><RequestId>gate</RequestId></Error>"
        ),
    )
}

fn answer(status: u16, content_type: &'static str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}
