//! Uploads by form and policy.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::{
    BUCKET, Fixture, KEYS, REGION, amz_date, hex, hmac, refusal, signing_key, start, start_with,
};

const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";

/// A form upload; by default its policy allows keys under `t/` of 1 to 1,000 bytes, and CSV only.
pub struct Upload {
    conditions: Vec<String>,
    fields: Vec<(String, String)>,
    after: Vec<(String, String)>,
    file: Vec<u8>,
    expires: i64,
    signed: i64,
}

impl Upload {
    pub fn new(key: &str) -> Self {
        let conditions = [
            format!("{{\"bucket\":\"{BUCKET}\"}}"),
            r#"["starts-with","$key","t/"]"#.into(),
            r#"["eq","$Content-Type","text/csv"]"#.into(),
            r#"["content-length-range",1,1000]"#.into(),
        ];
        let fields = [("key", key), ("Content-Type", "text/csv")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        Self {
            conditions: conditions.to_vec(),
            fields: fields.to_vec(),
            after: Vec::new(),
            file: b"a@example.com\r\n".to_vec(),
            expires: 600,
            signed: 0,
        }
    }

    pub fn file(mut self, file: &[u8]) -> Self {
        self.file = file.to_vec();
        self
    }

    fn condition(mut self, condition: &str) -> Self {
        self.conditions.push(condition.to_owned());
        self
    }

    fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(have, _)| have != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub async fn send(mut self, it: &Fixture) -> reqwest::Response {
        let (date, credential) = (amz_date(self.signed), KEYS.0);
        let credential = format!("{credential}/{}/{REGION}/s3/aws4_request", &date[..8]);
        for (name, value) in [
            ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
            ("x-amz-credential", &credential),
            ("x-amz-date", &date),
        ] {
            self.conditions.push(format!("{{\"{name}\":\"{value}\"}}"));
            self.fields.push((name.to_owned(), value.to_owned()));
        }
        let expiration = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(self.expires);
        let policy = format!(
            "{{\"expiration\":\"{}\",\"conditions\":[{}]}}",
            expiration.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            self.conditions.join(",")
        );
        let policy = STANDARD.encode(policy);
        let signature = hex(&hmac(&signing_key(&date[..8]), &policy));
        if !self.fields.iter().any(|(name, _)| name == "policy") {
            self.fields.push(("policy".into(), policy));
        }
        if !self.fields.iter().any(|(name, _)| name == "x-amz-signature") {
            self.fields.push(("x-amz-signature".into(), signature));
        }
        post(it, &self.fields, &self.file, &self.after).await
    }
}

async fn post(
    it: &Fixture,
    fields: &[(String, String)],
    file: &[u8],
    after: &[(String, String)],
) -> reqwest::Response {
    let part = |(name, value): &(String, String)| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let mut body = fields.iter().map(part).collect::<String>().into_bytes();
    let head =
        "Content-Disposition: form-data; name=\"file\"; filename=\"list.csv\"\r\nContent-Type: text/csv";
    body.extend_from_slice(format!("--{BOUNDARY}\r\n{head}\r\n\r\n").as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n");
    body.extend_from_slice(after.iter().map(part).collect::<String>().as_bytes());
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let request = it.http.post(format!("{}/{BUCKET}", it.server.endpoint())).header("content-type", kind);
    request.body(body).send().await.unwrap()
}

#[tokio::test]
async fn a_form_within_its_policy_is_stored() {
    let it = start().await;
    let near_miss = format!("x\r\n--{}\r\n-- \r\n\r\n", &BOUNDARY[..BOUNDARY.len() - 1]);
    let sent = Upload::new("t/${filename}")
        .condition(r#"["starts-with","$x-amz-meta-task",""]"#)
        .field("x-amz-meta-task", "42")
        .file(near_miss.as_bytes())
        .send(&it)
        .await;
    assert_eq!(sent.status(), 204);
    assert_eq!(sent.headers()["location"], "/lists/t/list.csv");
    assert_eq!(it.get("t/list.csv").await, near_miss.as_bytes());
    let head = it.client.head_object().bucket(BUCKET).key("t/list.csv").send().await.unwrap();
    assert_eq!(head.content_type(), Some("text/csv"));
    assert_eq!(head.metadata().unwrap()["task"], "42");
    assert_eq!(head.e_tag(), sent.headers()["etag"].to_str().ok());
}

#[tokio::test]
async fn the_form_chooses_the_answer() {
    let it = start().await;
    let any = |name: &str| format!("[\"starts-with\",\"${name}\",\"\"]");
    let upload = |name: &str, value: &str| Upload::new("t/a&b").condition(&any(name)).field(name, value);
    let created = upload("success_action_status", "201").send(&it).await;
    assert_eq!(created.status(), 201);
    assert!(created.text().await.unwrap().contains("<Key>t/a&amp;b</Key>"));
    assert_eq!(upload("success_action_status", "200").send(&it).await.status(), 200);
}

#[tokio::test]
async fn sizes_outside_the_range_are_refused() {
    let it = start().await;
    for (size, expected) in [
        (0, (400, "EntityTooSmall".to_owned())),
        (1001, (400, "EntityTooLarge".to_owned())),
        (3_000_000, (400, "EntityTooLarge".to_owned())),
    ] {
        let sent = Upload::new("t/k").file(&vec![b'x'; size]).send(&it).await;
        assert_eq!(refusal(sent).await, expected, "{size}");
    }
    assert_eq!(it.keys().await, [""; 0]);
    assert_eq!(it.files("scratch"), 0);
    for size in [1, 1000] {
        assert_eq!(Upload::new("t/k").file(&vec![b'x'; size]).send(&it).await.status(), 204);
        assert_eq!(it.get("t/k").await.len(), size);
    }
}

#[tokio::test]
async fn a_form_outside_its_policy_is_refused() {
    let it = start().await;
    let denied = (403, "AccessDenied".to_owned());
    let mut expired = Upload::new("t/k");
    expired.expires = -1;
    for (what, upload) in [
        ("starts-with", Upload::new("other/k")),
        ("eq", Upload::new("t/k").field("Content-Type", "text/html")),
        ("bucket", Upload::new("t/k").condition(r#"{"bucket":"another"}"#)),
        ("a field the policy does not name", Upload::new("t/k").field("x-amz-meta-a", "b")),
        ("a required field is missing", Upload::new("t/k").condition(r#"["eq","$x-amz-meta-a","b"]"#)),
        ("expired", expired),
    ] {
        assert_eq!(refusal(upload.send(&it).await).await, denied, "{what}");
    }
    let forged = Upload::new("t/k").field("x-amz-signature", &"0".repeat(64));
    assert_eq!(refusal(forged.send(&it).await).await, (403, "SignatureDoesNotMatch".into()));
    let policy = STANDARD.encode(r#"{"expiration":"2099-01-01T00:00:00Z","conditions":[]}"#);
    let swapped = Upload::new("t/k").field("policy", &policy);
    assert_eq!(refusal(swapped.send(&it).await).await, (403, "SignatureDoesNotMatch".into()));
    let bare = [("key".to_owned(), "t/k".to_owned())];
    assert_eq!(refusal(post(&it, &bare, b"x", &[]).await).await, denied);
    assert_eq!(it.keys().await, [""; 0]);
}

#[tokio::test]
async fn a_form_signed_an_hour_ago_lives_until_its_policy_expires() {
    let it = start().await;
    let mut upload = Upload::new("t/k");
    upload.signed = -3600;
    assert_eq!(upload.send(&it).await.status(), 204);
}

#[tokio::test]
async fn fields_after_the_file_are_ignored_and_doubled_ones_refused() {
    let it = start().await;
    let mut upload = Upload::new("t/k");
    upload.after.push(("key".into(), "elsewhere".into()));
    assert_eq!(upload.send(&it).await.status(), 204);
    let mut doubled = Upload::new("t/k2");
    doubled.fields.push(("KEY".into(), "elsewhere".into()));
    assert_eq!(refusal(doubled.send(&it).await).await, (400, "InvalidArgument".into()));
    let huge = Upload::new("t/k").field("x-ignore-me", &"x".repeat(30_000)).send(&it).await;
    assert_eq!(refusal(huge).await.0, 400);
    assert_eq!(it.keys().await, ["t/k"]);
}

#[tokio::test]
async fn a_policy_hook_sees_forms_too() {
    let it =
        start_with(|options| options.authorize = Some(std::sync::Arc::new(|call| call.key != Some("t/no"))))
            .await;
    assert_eq!(refusal(Upload::new("t/no").send(&it).await).await, (403, "AccessDenied".into()));
    assert_eq!(Upload::new("t/yes").send(&it).await.status(), 204);
}
