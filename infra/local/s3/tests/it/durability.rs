//! What survives restarts, kills and bad clients, and what does not stay.

use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use local_s3::S3Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use crate::support::{BUCKET, KEYS, client, eventually, expires, options, serve, start, start_with};

/// The server as a process of its own.
struct Process(Child);

impl Process {
    async fn start(dir: &Path) -> (Self, String) {
        let endpoint = dir.join("endpoint");
        let _ = std::fs::remove_file(&endpoint);
        let binary = env!("CARGO_BIN_EXE_local-s3");
        let child = Command::new(binary).arg(dir).args(["127.0.0.1:0", BUCKET]).spawn().unwrap();
        let written = || std::fs::read_to_string(&endpoint).is_ok_and(|text| !text.is_empty());
        eventually("the start of the server", written).await;
        (Self(child), std::fs::read_to_string(&endpoint).unwrap())
    }

    /// Peak resident memory in bytes.
    fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Process {
    /// SIGKILL.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let it = start().await;
    it.put("k", "v").await;
    let created = it.client.create_multipart_upload().bucket(BUCKET).key("open").send().await.unwrap();
    let id = created.upload_id().unwrap();
    let part = it.client.upload_part().bucket(BUCKET).key("open").upload_id(id).part_number(1);
    part.body(ByteStream::from_static(b"part")).send().await.unwrap();
    let before = it.server.handle().list(BUCKET).await.unwrap();
    it.server.shutdown().await;
    std::fs::write(it.dir.path().join("scratch/torn"), "half").unwrap();
    std::fs::write(it.dir.path().join("objects/unnamed"), "never committed").unwrap();

    let server = serve(options(it.dir.path())).await;
    assert_eq!(server.handle().list(BUCKET).await.unwrap(), before);
    assert_eq!(server.handle().read(BUCKET, "k").await.unwrap(), "v");
    let client = client(&server.endpoint(), KEYS.0, KEYS.1);
    let parts = client.list_parts().bucket(BUCKET).key("open").upload_id(id).send().await.unwrap();
    assert_eq!(parts.parts()[0].size(), Some(4));
    let files = |folder: &str| std::fs::read_dir(it.dir.path().join(folder)).unwrap().count();
    assert_eq!((files("objects"), files("scratch")), (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_confirmed_write_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let (process, endpoint) = Process::start(dir.path()).await;
    let confirmed: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let (client, confirmed) = (client(&endpoint, KEYS.0, KEYS.1), Arc::clone(&confirmed));
        writers.spawn(async move {
            for number in 0.. {
                let key = format!("{writer}/{number}");
                let body = ByteStream::from(key.repeat(1000).into_bytes());
                if client.put_object().bucket(BUCKET).key(&key).body(body).send().await.is_err() {
                    break;
                }
                confirmed.lock().unwrap().push(key);
            }
        });
    }
    eventually("200 confirmed writes", || confirmed.lock().unwrap().len() >= 200).await;
    drop(process);
    writers.join_all().await;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = S3Server::start(listener, options(dir.path())).await.unwrap();
    let confirmed = confirmed.lock().unwrap().clone();
    for key in &confirmed {
        assert_eq!(server.handle().read(BUCKET, key).await.unwrap(), key.repeat(1000), "{key}");
    }
    let files = |folder: &str| std::fs::read_dir(dir.path().join(folder)).unwrap().count();
    assert_eq!(files("objects"), server.handle().list(BUCKET).await.unwrap().len());
    assert_eq!(files("scratch"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_pass_through_little_memory() {
    const SIZE: u64 = 100 * 1024 * 1024;
    let dir = tempfile::tempdir().unwrap();
    let (process, endpoint) = Process::start(&dir.path().join("data")).await;
    let file = dir.path().join("large");
    std::fs::File::create(&file).unwrap().set_len(SIZE).unwrap();
    let client = client(&endpoint, KEYS.0, KEYS.1);
    let body = ByteStream::from_path(&file).await.unwrap();
    client.put_object().bucket(BUCKET).key("large").body(body).send().await.unwrap();
    let mut got = client.get_object().bucket(BUCKET).key("large").send().await.unwrap();
    let mut read = 0;
    while let Some(chunk) = got.body.next().await {
        read += chunk.unwrap().len() as u64;
    }
    assert_eq!(read, SIZE);
    let peak = process.peak_memory();
    assert!(peak < SIZE / 2, "the server needed {peak} bytes");
}

/// Opens a presigned upload of 1,000 bytes by hand and sends the first ten.
async fn half_upload(it: &crate::support::Fixture) -> tokio::net::TcpStream {
    let presigned = it.client.put_object().bucket(BUCKET).key("k").presigned(expires(60)).await.unwrap();
    let host = it.server.endpoint().strip_prefix("http://").unwrap().to_owned();
    let target = presigned.uri().split_once(&host).unwrap().1;
    let mut stream = tokio::net::TcpStream::connect(&host).await.unwrap();
    let head = format!("PUT {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1000\r\n\r\n0123456789");
    stream.write_all(head.as_bytes()).await.unwrap();
    eventually("the upload's temporary file", || it.files("scratch") == 1).await;
    stream
}

#[tokio::test]
async fn a_client_that_breaks_off_leaves_nothing() {
    let it = start().await;
    drop(half_upload(&it).await);
    eventually("the removal of the temporary file", || it.files("scratch") == 0).await;
    assert_eq!(it.keys().await, [""; 0]);
}

#[tokio::test]
async fn a_client_that_stalls_is_sent_away() {
    let it = start_with(|options| options.idle_timeout = Duration::from_millis(200)).await;
    let mut stream = half_upload(&it).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("RequestTimeout"), "{answer}");
    assert_eq!((it.files("objects"), it.files("scratch")), (0, 0));
}

#[tokio::test]
async fn a_reader_finishes_although_the_object_is_replaced() {
    let it = start().await;
    it.put("k", vec![1; 4_000_000]).await;
    let got = it.client.get_object().bucket(BUCKET).key("k").send().await.unwrap();
    it.put("k", vec![2; 10]).await;
    it.client.delete_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(it.files("objects"), 0);
    assert!(got.body.collect().await.unwrap().to_vec() == vec![1; 4_000_000]);
}
