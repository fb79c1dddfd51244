//! Identifiers in the shapes AWS uses.

use base64::{Engine, prelude::BASE64_STANDARD};
use std::time::{SystemTime, UNIX_EPOCH};
use ulid::Ulid;

/// Milliseconds since the epoch.
pub(crate) fn epoch_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// 128 bits: 48 of time, 80 random.
fn unique() -> u128 {
    // A generator that is new for each id cannot overflow, so the fallback is never taken.
    u128::from(ulid::Generator::new().generate().unwrap_or(Ulid::nil()))
}

/// A session token of temporary credentials: opaque, as AWS's is.
pub(crate) fn session_token() -> String {
    BASE64_STANDARD.encode(unique().to_be_bytes())
}

/// A Lambda request id: a UUID (version 7, so that ids sort by time).
pub(crate) fn request_id() -> String {
    let id = unique() & !(0xf << 76) & !(0x3 << 62) | (0x7 << 76) | (0x2 << 62);
    let hex = format!("{id:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// An API Gateway request id: 11 bytes as base64, such as `JKJaXmPLvHcESHA=`.
pub(crate) fn gateway_request_id() -> String {
    BASE64_STANDARD.encode(&unique().to_be_bytes()[5..])
}

/// The root of an X-Ray trace: `1-{epoch seconds, hex}-{96 bits, hex}`.
pub(crate) fn trace_root() -> String {
    format!("Root=1-{:08x}-{:024x}", epoch_millis() / 1000, unique() & ((1 << 96) - 1))
}

/// An X-Ray header as a function sees it, continuing `root` or starting a trace.
pub(crate) fn trace_header(root: Option<&str>) -> String {
    let root = root.and_then(|r| r.split(';').find(|part| part.trim_start().starts_with("Root=")));
    let parent = (unique() as u64).max(1);
    format!("{};Parent={parent:016x};Sampled=0", root.map_or_else(trace_root, |r| r.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_shapes_aws_uses() {
        let id = request_id();
        assert_eq!(id.len(), 36);
        assert_eq!((&id[14..15], id.matches('-').count()), ("7", 4));
        assert!("89ab".contains(&id[19..20]));
        let gateway = gateway_request_id();
        assert_eq!((gateway.len(), gateway.ends_with('=')), (16, true));
        assert_eq!(trace_root().len(), "Root=1-67891233-abcdef012345678912345678".len());
        assert!(trace_header(Some("Self=1-2;Root=1-5-6;Sampled=1")).starts_with("Root=1-5-6;Parent="));
    }
}
