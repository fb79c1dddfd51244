//! S3 as a client sees it: what the stack makes there, and what tests look at.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter,
    QueueConfiguration, S3KeyFilter,
};

use crate::template::model::{Bucket, Notification};
use crate::{ACCOUNT_ID, Error, REGION};

/// A client with the stack's own key.
#[derive(Debug, Clone)]
pub struct Objects {
    client: Client,
}

fn failed(error: impl std::error::Error) -> Error {
    Error::Objects(DisplayErrorContext(error).to_string())
}

impl Objects {
    pub(crate) fn new(endpoint: &str, (key, secret): (String, String)) -> Self {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(endpoint)
            .credentials_provider(Credentials::new(key, secret, None, None, "stack"))
            .force_path_style(true);
        Self { client: Client::from_conf(config.build()) }
    }

    /// Makes a bucket unless it is there, with its notifications.
    pub(crate) async fn ensure(&self, bucket: &Bucket) -> Result<(), Error> {
        let made = self.client.create_bucket().bucket(&bucket.name).send().await;
        match made {
            Err(error) if !error.as_service_error().is_some_and(|e| e.is_bucket_already_owned_by_you()) => {
                return Err(failed(error));
            }
            _ => {}
        }
        let queues = bucket.notifications.iter().map(announced).collect::<Result<Vec<_>, _>>()?;
        let configuration = NotificationConfiguration::builder().set_queue_configurations(Some(queues));
        let put = self.client.put_bucket_notification_configuration().bucket(&bucket.name);
        // Or S3 sends each queue a test event, which the embedded server does not: counts would differ.
        let put = put.notification_configuration(configuration.build()).skip_destination_validation(true);
        put.send().await.map_err(failed)?;
        Ok(())
    }

    /// Every key of a bucket.
    ///
    /// # Errors
    /// As S3.
    pub async fn list(&self, bucket: &str) -> Result<Vec<String>, Error> {
        let mut keys = Vec::new();
        let mut pages = self.client.list_objects_v2().bucket(bucket).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed)?;
            keys.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
        }
        Ok(keys)
    }

    /// The octets of an object.
    ///
    /// # Errors
    /// As S3; an object that is not there is one.
    pub async fn read(&self, bucket: &str, key: &str) -> Result<bytes::Bytes, Error> {
        let object = self.client.get_object().bucket(bucket).key(key).send().await.map_err(failed)?;
        Ok(object.body.collect().await.map_err(failed)?.into_bytes())
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// As S3.
    pub async fn delete(&self, bucket: &str, key: &str) -> Result<(), Error> {
        self.client.delete_object().bucket(bucket).key(key).send().await.map_err(failed)?;
        Ok(())
    }
}

fn announced(notification: &Notification) -> Result<QueueConfiguration, Error> {
    let rule = |name: FilterRuleName, value: &str| {
        (!value.is_empty()).then(|| FilterRule::builder().name(name).value(value).build())
    };
    let rules = [
        rule(FilterRuleName::Prefix, &notification.prefix),
        rule(FilterRuleName::Suffix, &notification.suffix),
    ];
    let rules = S3KeyFilter::builder().set_filter_rules(Some(rules.into_iter().flatten().collect())).build();
    QueueConfiguration::builder()
        .queue_arn(format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{}", notification.queue))
        .events(Event::from(notification.event.as_str()))
        .filter(NotificationConfigurationFilter::builder().key(rules).build())
        .build()
        .map_err(failed)
}
