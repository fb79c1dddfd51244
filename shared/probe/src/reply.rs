//! What a mail server's reply means. Codes first (RFC 5321, RFC 3463), then the words that servers use.

use email::route::SmtpOutcome;

/// A reply: the code, and the text of its lines joined by spaces, lower-case, continuation markers removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub code: u16,
    pub text: String,
}

/// Our address or name is the trouble, whatever mailbox we ask for.
const BLOCKED: [&str; 16] = [
    "blacklist",
    "black list",
    "blocklist",
    "block list",
    "spamhaus",
    "dnsbl",
    "barracuda",
    "spamcop",
    "banned",
    "reverse dns",
    "reverse hostname",
    "rdns",
    "ptr record",
    "poor reputation",
    "client host rejected",
    "client host blocked",
];
/// The same, but also said of recipients, so only where nothing else was said.
const PERHAPS_BLOCKED: [&str; 4] = ["blocked", "access denied", "not authorized", "policy"];
const FULL: [&str; 8] = [
    "mailbox full",
    "mailbox is full",
    "over quota",
    "overquota",
    "quota exceeded",
    "insufficient",
    "out of storage",
    "too many messages",
];
const DISABLED: [&str; 5] = ["disabled", "discontinued", "inactive", "suspended", "deactivated"];
/// Said of a mailbox and of nothing else.
const NO_SUCH_USER: [&str; 9] = [
    "user unknown",
    "unknown user",
    "user not found",
    "no such user",
    "no such mailbox",
    "no such recipient",
    "no such address",
    "mailbox not found",
    "no mailbox here",
];
/// Said of a mailbox, or of a policy about it.
const REJECTED: [&str; 9] = [
    "does not exist",
    "doesn't exist",
    "recipient rejected",
    "recipient address rejected",
    "invalid recipient",
    "unknown recipient",
    "recipient unknown",
    "mailbox unavailable",
    "address unknown",
];

impl Reply {
    /// Subject and detail of the enhanced status code at the start of the text (RFC 3463): `(1, 1)` of `5.1.1`.
    fn enhanced(&self) -> Option<(u16, u16)> {
        let word = self.text.split_whitespace().next()?.trim_matches(|c: char| !c.is_ascii_digit());
        let mut parts = word.splitn(3, '.').map(|part| part.parse::<u16>().ok());
        let (class, subject, detail) = (parts.next()??, parts.next()??, parts.next()??);
        matches!(class, 2 | 4 | 5).then_some((subject, detail))
    }

    fn says(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.text.contains(word))
    }

    /// Whether RCPT was accepted. 252 and other codes of success promise nothing about a mailbox.
    pub fn accepts(&self) -> bool {
        matches!(self.code, 250 | 251)
    }

    /// What a reply other than acceptance says of the recipient, or of us. `NoAnswer` where it says neither.
    pub fn refusal(&self) -> SmtpOutcome {
        let enhanced = self.enhanced();
        let full = enhanced == Some((2, 2))
            // x.3.y is the server's own trouble: "insufficient system storage" is no full mailbox.
            || (self.says(&FULL) && !matches!(enhanced, Some((3 | 5, _))));
        match self.code {
            400..=499 if full => SmtpOutcome::FullInbox,
            400..=499 if self.says(&BLOCKED) => SmtpOutcome::SenderBlocked,
            400..=499 => SmtpOutcome::Greylisted,
            500..=599 => self.rejection(enhanced, full),
            _ => SmtpOutcome::NoAnswer,
        }
    }

    fn rejection(&self, enhanced: Option<(u16, u16)>, full: bool) -> SmtpOutcome {
        match enhanced {
            Some((2, 1)) => return SmtpOutcome::Disabled,
            // Bad sender's mailbox or system: not about the recipient.
            Some((1, 7 | 8)) => return SmtpOutcome::SenderBlocked,
            Some((1, _)) => return SmtpOutcome::NoSuchMailbox,
            _ => {}
        }
        if self.says(&BLOCKED) {
            SmtpOutcome::SenderBlocked
        } else if full || self.code == 552 {
            SmtpOutcome::FullInbox
        } else if matches!(enhanced, Some((7, _))) && !self.says(&NO_SUCH_USER) {
            // Security or policy (x.7.y) is about us, unless it says outright that there is no such user.
            SmtpOutcome::SenderBlocked
        } else if self.says(&DISABLED) {
            SmtpOutcome::Disabled
        } else if self.says(&NO_SUCH_USER) || self.says(&REJECTED) || matches!(self.code, 551 | 553) {
            SmtpOutcome::NoSuchMailbox
        } else if self.says(&PERHAPS_BLOCKED) {
            SmtpOutcome::SenderBlocked
        } else {
            // A bare 550 may be a missing mailbox or a policy (RFC 5321 section 4.2.2): nothing is known.
            SmtpOutcome::NoAnswer
        }
    }

    /// What a refusal before any recipient was named says: it can only be about us.
    pub fn refusal_of_us(&self) -> SmtpOutcome {
        match self.code {
            400..=499 if self.says(&BLOCKED) => SmtpOutcome::SenderBlocked,
            400..=499 => SmtpOutcome::Greylisted,
            500..=599 => SmtpOutcome::SenderBlocked,
            _ => SmtpOutcome::NoAnswer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_seen_in_the_wild_are_understood() {
        use SmtpOutcome::{Disabled, FullInbox, Greylisted, NoAnswer, NoSuchMailbox, SenderBlocked};
        let cases = [
            (550, "5.1.1 The email account that you tried to reach does not exist.", NoSuchMailbox),
            (550, "5.5.0 Requested action not taken: mailbox unavailable", NoSuchMailbox),
            (
                550,
                "5.4.1 Recipient address rejected: Access denied. [x.prod.protection.outlook.com]",
                NoSuchMailbox,
            ),
            (
                554,
                "delivery error: dd This user doesn't have a yahoo.com account: no such user",
                NoSuchMailbox,
            ),
            (550, "5.7.1 no such user here", NoSuchMailbox),
            (553, "sorry, that address is not in my list", NoSuchMailbox),
            (550, "5.2.1 The email account that you tried to reach is inactive", Disabled),
            (554, "30 Sorry, your message cannot be delivered. This mailbox is disabled (554.30).", Disabled),
            (552, "5.2.2 The email account that you tried to reach is over quota", FullInbox),
            (452, "4.2.2 The recipient's inbox is out of storage space", FullInbox),
            (550, "Mailbox full", FullInbox),
            (552, "Requested mail action aborted: exceeded storage allocation", FullInbox),
            (452, "4.3.1 Insufficient system storage", Greylisted),
            (452, "4.5.3 Too many recipients", Greylisted),
            (450, "4.2.0 Greylisted, see http://postgrey.schweikert.ch/", Greylisted),
            (451, "4.7.1 Try again later", Greylisted),
            (450, "4.7.25 Client host rejected: cannot find your reverse hostname", SenderBlocked),
            (
                554,
                "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
                SenderBlocked,
            ),
            (550, "5.7.606 Access denied, banned sending IP [192.0.2.1]", SenderBlocked),
            (550, "Your IP is on our blacklist, user unknown to us", SenderBlocked),
            (550, "5.1.8 Sender address rejected: domain not found", SenderBlocked),
            (550, "5.7.1 Recipient address rejected: policy", SenderBlocked),
            (550, "access denied", SenderBlocked),
            (550, "No", NoAnswer),
            (252, "2.1.5 Cannot VRFY user, but will take message", NoAnswer),
            (354, "Go ahead", NoAnswer),
        ];
        for (code, text, outcome) in cases {
            let reply = Reply { code, text: text.to_lowercase() };
            assert_eq!(reply.refusal(), outcome, "{code} {text}");
        }
    }

    #[test]
    fn an_enhanced_code_is_three_numbers_at_the_start() {
        let enhanced = |text: &str| Reply { code: 550, text: text.into() }.enhanced();
        assert_eq!(enhanced("5.1.10 x"), Some((1, 10)));
        assert_eq!(enhanced("#5.1.1: x"), Some((1, 1)));
        assert_eq!(enhanced("x 5.1.1"), None);
        assert_eq!(enhanced("3.1.1 x"), None);
        assert_eq!(enhanced("5.1 x"), None);
    }
}
