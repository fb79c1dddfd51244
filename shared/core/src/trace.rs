//! The trace: which span of which trace is under way. It goes from the request through events and queues as a W3C `traceparent`
//! (P17), beside the correlation id.

use std::{fmt, future::Future};

tokio::task_local! {
    static CURRENT: SpanContext;
}

/// A span of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanContext {
    /// The trace; not zero.
    pub trace: u128,
    /// The span; not zero.
    pub span: u64,
    /// Whether whoever began the trace wants it recorded.
    pub sampled: bool,
}

impl SpanContext {
    /// The first span of a new trace.
    pub fn root() -> Self {
        Self { trace: rand::random::<u128>().max(1), span: rand::random::<u64>().max(1), sampled: true }
    }

    /// A new span of the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span: rand::random::<u64>().max(1), ..self }
    }

    /// A `traceparent` (W3C Trace Context, section 3.2); `None` if it is not one, and then it counts as absent.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let version = digits(parts.next()?, 2)?;
        let (trace, span) = (digits(parts.next()?, 32)?, digits(parts.next()?, 16)?);
        let flags = digits(parts.next()?, 2)?;
        // Later versions may say more; this one may not.
        let fine = version != 0xff && (version != 0 || parts.next().is_none()) && trace != 0 && span != 0;
        fine.then_some(Self { trace, span: u64::try_from(span).ok()?, sampled: flags & 1 == 1 })
    }

    /// A span of the trace whose root an X-Ray header names (`Root=1-<8 digits>-<24 digits>;…`), which Lambda gives with each
    /// invocation: so a trace has the same id in X-Ray.
    pub fn from_xray(header: &str) -> Option<Self> {
        let root = header.split(';').find_map(|part| part.trim().strip_prefix("Root="))?;
        let mut parts = root.split('-');
        let (version, time, rest) = (parts.next()?, parts.next()?, parts.next()?);
        let trace = digits(time, 8)? << 96 | digits(rest, 24)?;
        (version == "1" && parts.next().is_none() && trace != 0).then(|| Self { trace, ..Self::root() })
    }
}

/// So many lower-case hexadecimal digits.
fn digits(text: &str, count: usize) -> Option<u128> {
    let fine = text.len() == count && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    fine.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// As a `traceparent`.
impl fmt::Display for SpanContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

/// Runs `work` within a span.
pub async fn scope<F: Future>(span: SpanContext, work: F) -> F::Output {
    CURRENT.scope(span, work).await
}

/// The span under way, if there is one.
pub fn current() -> Option<SpanContext> {
    CURRENT.try_with(|span| *span).ok()
}

/// The span under way as a `traceparent`, for what it sends.
pub fn traceparent() -> Option<String> {
    current().map(|span| span.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_the_recommendation_says() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let span = SpanContext::parse(text).unwrap();
        assert_eq!(
            (span.trace, span.span),
            (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7)
        );
        assert!(span.sampled);
        assert_eq!(span.to_string(), text);
        assert!(!SpanContext::parse(&text.replace("-01", "-02")).unwrap().sampled);
        assert_eq!(SpanContext::parse(&format!("cc{}-more", &text[2..])), Some(span));
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(SpanContext::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_root_of_x_ray_is_the_trace() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0";
        let span = SpanContext::from_xray(header).unwrap();
        assert!(span.to_string().starts_with("00-5759e988bd862e3fe1be46a994272793-") && span.sampled);
        assert_eq!(SpanContext::from_xray("Root=1-5759e988;Sampled=1"), None);
        assert_ne!(span.child().span, span.span);
    }
}
