//! A server of its own for every test, and a client of the real SDK.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{Message, QueueAttributeName};
use local_sqs::{Options, SqsServer};
use tokio::net::TcpListener;

pub(crate) const ACCOUNT: &str = "111122223333";

pub(crate) struct TestServer {
    pub server: SqsServer,
    pub client: Client,
}

pub(crate) fn options() -> Options {
    Options { region: "eu-west-1".to_owned(), account_id: ACCOUNT.to_owned(), ..Options::default() }
}

/// No message stays hidden longer than a moment.
pub(crate) fn impatient() -> Options {
    Options { visibility_cap: Some(Duration::from_millis(100)), ..options() }
}

pub(crate) async fn start(options: Options) -> TestServer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = SqsServer::start(listener, options).await.unwrap();
    let client = client(&server.endpoint(), "AKIDTEST");
    TestServer { server, client }
}

pub(crate) fn client(endpoint: &str, key: &str) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new(key, "secret", None, None, "test"))
        .retry_config(aws_sdk_sqs::config::retry::RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

pub(crate) fn arn(name: &str) -> String {
    format!("arn:aws:sqs:eu-west-1:{ACCOUNT}:{name}")
}

pub(crate) type Pairs<'a> = &'a [(QueueAttributeName, &'a str)];

impl TestServer {
    pub(crate) async fn queue(&self, name: &str, attributes: Pairs<'_>) -> String {
        let mut request = self.client.create_queue().queue_name(name);
        for (attribute, value) in attributes {
            request = request.attributes(attribute.clone(), *value);
        }
        request.send().await.unwrap().queue_url.unwrap()
    }

    /// A FIFO queue that deduplicates by content.
    pub(crate) async fn fifo(&self, name: &str) -> String {
        use QueueAttributeName::{ContentBasedDeduplication, FifoQueue};
        self.queue(name, &[(FifoQueue, "true"), (ContentBasedDeduplication, "true")]).await
    }

    pub(crate) async fn send(&self, url: &str, body: &str) -> String {
        let sent = self.client.send_message().queue_url(url).message_body(body).send().await.unwrap();
        sent.message_id.unwrap()
    }

    pub(crate) async fn send_to(&self, url: &str, group: &str, body: &str) -> String {
        let request = self.client.send_message().queue_url(url).message_group_id(group);
        request.message_body(body).send().await.unwrap().sequence_number.unwrap()
    }

    /// Up to 10 messages, waiting up to `wait` seconds for the first.
    pub(crate) async fn receive(&self, url: &str, wait: i32) -> Vec<Message> {
        receive(&self.client, url, 10, wait).await
    }

    pub(crate) async fn delete(&self, url: &str, message: &Message) {
        let handle = message.receipt_handle.clone().unwrap();
        self.client.delete_message().queue_url(url).receipt_handle(handle).send().await.unwrap();
    }

    pub(crate) async fn attributes(&self, url: &str) -> HashMap<QueueAttributeName, String> {
        let request = self.client.get_queue_attributes().queue_url(url);
        request.attribute_names(QueueAttributeName::All).send().await.unwrap().attributes.unwrap()
    }

    /// Visible, in flight, delayed.
    pub(crate) async fn counts(&self, url: &str) -> (u64, u64, u64) {
        let counts = self.server.handle().attributes(url).await.unwrap();
        (counts.visible, counts.in_flight, counts.delayed)
    }
}

pub(crate) async fn receive(client: &Client, url: &str, max: i32, wait: i32) -> Vec<Message> {
    let request = client.receive_message().queue_url(url).max_number_of_messages(max).wait_time_seconds(wait);
    let request = request.message_system_attribute_names("All".into()).message_attribute_names("All");
    request.send().await.unwrap().messages.unwrap_or_default()
}

pub(crate) fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body().unwrap()).collect()
}

pub(crate) fn system<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    message.attributes()?.get(&name.into()).map(String::as_str)
}

/// The code of an SDK error, as its caller would log it.
pub(crate) fn code<E, R>(error: &aws_sdk_sqs::error::SdkError<E, R>) -> String
where
    E: aws_sdk_sqs::error::ProvideErrorMetadata,
{
    use aws_sdk_sqs::error::ProvideErrorMetadata as _;
    error.code().unwrap_or_default().to_owned()
}
