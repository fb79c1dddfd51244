//! Who may do what: known access keys, and the hook for a policy.

use std::collections::HashMap;
use std::sync::Arc;

use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

/// One action that a caller asks for.
#[derive(Debug, Clone, Copy)]
pub struct CallContext<'a> {
    /// The access key whose signature was verified.
    pub access_key: &'a str,
    /// The IAM action, such as `s3:PutObject` (`UploadPart` is that too) or `s3:ListBucket`.
    pub action: &'a str,
    /// The bucket, unless the action is `s3:ListAllMyBuckets`.
    pub bucket: Option<&'a str>,
    /// The key, for object actions. `DeleteObjects` asks once for each key, a copy for source and target.
    pub key: Option<&'a str>,
}

/// Decides about an action; `false` is answered with `AccessDenied`.
pub type Authorize = Arc<dyn Fn(&CallContext<'_>) -> bool + Send + Sync>;

/// The access keys and the policy hook.
#[derive(Clone)]
pub(crate) struct Gate {
    secrets: Arc<HashMap<String, SecretKey>>,
    authorize: Option<Authorize>,
}

impl Gate {
    pub(crate) fn new(credentials: Vec<(String, String)>, authorize: Option<Authorize>) -> Self {
        let secrets = credentials.into_iter().map(|(key, secret)| (key, SecretKey::from(secret))).collect();
        Self { secrets: Arc::new(secrets), authorize }
    }

    pub(crate) fn secret(&self, access_key: &str) -> S3Result<&SecretKey> {
        self.secrets.get(access_key).ok_or_else(|| {
            s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.")
        })
    }

    pub(crate) fn allow(&self, call: &CallContext<'_>) -> S3Result<()> {
        match &self.authorize {
            Some(authorize) if !authorize(call) => Err(s3_error!(
                AccessDenied,
                "{} is not authorized to perform: {}",
                call.access_key,
                call.action
            )),
            _ => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl S3Auth for Gate {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        self.secret(access_key).cloned()
    }
}

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(credentials) = cx.credentials() else {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        };
        let operation = cx.s3_op().name();
        // The keys of these are in the body: asked for one by one where they are known.
        if operation == "DeleteObjects" {
            return Ok(());
        }
        self.allow(&CallContext {
            access_key: &credentials.access_key,
            action: &action(operation),
            bucket: cx.s3_path().get_bucket_name(),
            key: cx.s3_path().get_object_key(),
        })
    }
}

/// The IAM action behind an operation (S3 API reference, "Required permissions").
fn action(operation: &str) -> String {
    let name = match operation {
        "HeadObject" => "GetObject",
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => "ListBucket",
        "ListBuckets" => "ListAllMyBuckets",
        "CopyObject"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "UploadPartCopy"
        | "CompleteMultipartUpload" => "PutObject",
        "ListParts" => "ListMultipartUploadParts",
        "ListMultipartUploads" => "ListBucketMultipartUploads",
        other => other,
    };
    format!("s3:{name}")
}
