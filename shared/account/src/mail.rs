//! Mail to people, by the setting `MAIL`: so far the invitation (P8). Mail leaves from a queue, never in a request; without the setting
//! none leaves, and the inviter passes the token on as they can in any case.

use aws::{Clients, Cond, Deps, Key, Letter, Mailer, Update};
use email::EmailAddress;
use jiff::Timestamp;
use piecework_core::{DomainEvent, Settings, UserId, now, settings::SettingError};

use crate::{
    Account, Error, Role,
    invitation::{Invitation, InvitationId, InvitationRecord, InvitationState, Invitations, invitation_key},
    store::{Profile, profile_key},
    workspace::{WorkspaceRecord, meta_key},
};

/// How mail leaves.
#[derive(Clone)]
enum Mail {
    /// Not at all.
    Nowhere,
    /// By Amazon SES, from an address that it has verified.
    Ses { from: String, mailer: Mailer },
}

impl Mail {
    /// Reads `MAIL`: empty, or `ses:<address>`.
    fn of(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        let Some(text) = settings.text("MAIL") else { return Ok(Self::Nowhere) };
        let address = text.strip_prefix("ses:").and_then(|from| EmailAddress::parse(from).ok());
        match address.and_then(|from| deliverable(&from)) {
            Some(from) => Ok(Self::Ses { from, mailer: Mailer::new(clients) }),
            None => Err(SettingError::Unusable { name: "MAIL", why: "must be ses:<address>".into() }),
        }
    }
}

/// Sends invitations.
#[derive(Clone)]
pub struct InvitationMail {
    account: Account,
    invitations: Invitations,
    mail: Mail,
    /// A page where an invitation is accepted; `{token}` in it is the token.
    link: Option<String>,
}

impl Deps for InvitationMail {
    fn new(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        let link = settings.text("INVITATION_LINK").map(str::to_owned);
        if link.as_ref().is_some_and(|link| !link.contains("{token}")) {
            return Err(SettingError::Unusable {
                name: "INVITATION_LINK",
                why: "must have {token} in it".into(),
            });
        }
        Ok(Self {
            account: Account::new(settings, clients)?,
            invitations: Invitations::new(settings, clients)?,
            mail: Mail::of(settings, clients)?,
            link,
        })
    }
}

/// An address as SES takes it: ASCII, its domain by A-labels. `None` if its local part has other letters, for which SES has no SMTPUTF8.
fn deliverable(address: &EmailAddress) -> Option<String> {
    address.local().is_ascii().then(|| format!("{}@{}", address.local(), address.domain()))
}

/// An address as it is shown in a mail: in ASCII, so that no letter passes for another. A domain is shown by its A-labels (punycode,
/// RFC 3492), a letter of a local part by its number.
fn shown(address: &EmailAddress) -> String {
    let local = address.local().chars();
    let local: String = local
        .map(|c| if c.is_ascii() { c.to_string() } else { format!("<U+{:04X}>", u32::from(c)) })
        .collect();
    format!("{local}@{}", address.domain())
}

/// What an invitation says.
struct Words<'a> {
    workspace: &'a str,
    /// The inviter's name and verified address.
    inviter: (&'a str, Option<&'a str>),
    invitation: &'a Invitation,
    /// The token, or the page with it.
    way: &'a str,
}

impl Words<'_> {
    fn subject(&self) -> String {
        format!("An invitation to the workspace \"{}\"", self.workspace)
    }

    fn text(&self) -> String {
        let (name, address) = self.inviter;
        // Their own address comes from whoever vouches for them, and is parsed only to be shown.
        let inviter = match address.and_then(|address| EmailAddress::parse(address).ok()) {
            Some(address) => format!("{name} ({})", shown(&address)),
            None => name.to_owned(),
        };
        let role = match self.invitation.role {
            Role::Owner => "an owner",
            Role::Member => "a member",
        };
        let (workspace, way) = (self.workspace, self.way);
        let (to, until) = (shown(&self.invitation.email), until(self.invitation.valid_until));
        format!(
            "{inviter} invites you to the workspace \"{workspace}\" at Piecework, as {role}.\n\n\
             The invitation is for {to}, and for nobody else. It is good until {until}. Accept it with\n\n{way}\n\n\
             If you do not know {name}, do nothing: without your doing nothing happens.\n"
        )
    }
}

fn until(at: Timestamp) -> String {
    at.strftime("%-d %B %Y, %H:%M UTC").to_string()
}

impl InvitationMail {
    /// Sends the mail of an invitation that was made, if it is open and has not had one. `false` if the event is of something else.
    ///
    /// A crash between the sending and the note of it makes a second mail of the same token.
    pub async fn send(&self, event: &DomainEvent) -> Result<bool, Error> {
        let id = event.data.get("invitation").and_then(|id| id.as_str());
        let Some(Ok(id)) = id.map(str::parse::<InvitationId>) else { return Ok(false) };
        if event.kind != "account.invitation.created" {
            return Ok(false);
        }
        let Mail::Ses { from, mailer } = &self.mail else { return Ok(true) };
        let (workspace, table) = (event.workspace, &self.account.table);
        let (meta, key) = (meta_key(workspace), invitation_key(workspace, id));
        let inviter = event.actor.as_deref().and_then(|actor| actor.parse::<UserId>().ok()).map(profile_key);
        let keys: Vec<Key> = [meta.clone(), key.clone()].into_iter().chain(inviter.clone()).collect();
        let seen = self.account.see(&keys).await?;
        let there = seen.get::<WorkspaceRecord>(&meta)?.filter(|meta| meta.deleted_at.is_none());
        let (Some(meta), Some(record)) = (there, seen.get::<InvitationRecord>(&key)?) else {
            return Ok(true);
        };
        let invitation = record.invitation;
        let open = invitation.state == InvitationState::Open && invitation.valid_until > now();
        if !open || record.mailed_at.is_some() {
            return Ok(true);
        }
        let Some(to) = deliverable(&invitation.email) else {
            tracing::info!(invitation = %id, "no mail: the address needs SMTPUTF8");
            return Ok(true);
        };
        let inviter: Option<Profile> = inviter.map(|key| seen.get(&key)).transpose()?.flatten();
        let token = self.invitations.token(workspace, id);
        let way = self.link.as_ref().map_or_else(|| token.clone(), |link| link.replace("{token}", &token));
        let inviter = inviter.as_ref().map_or(("Somebody", None), |p| (p.name.as_str(), p.email.as_deref()));
        let words = Words { workspace: &meta.name, inviter, invitation: &invitation, way: &way };
        let letter = Letter { from: from.clone(), to, subject: words.subject(), text: words.text() };
        mailer.send(&letter).await?;
        let mailed = Update::at(key).set("mailed_at", now()).when(Cond::Present("pk"));
        table.update::<serde_json::Value>(mailed).await?;
        tracing::info!(invitation = %id, "mailed");
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(mail: &str, link: &str) -> Settings {
        let pairs = [
            ("ENVIRONMENT", "prod"),
            ("MAIL", mail),
            ("INVITATION_LINK", link),
            ("ACCOUNT_TABLE", "t-account"),
        ];
        let key = ("CURSOR_KEY".to_owned(), "0123456789abcdef".to_owned());
        Settings::from_values(pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).into_iter().chain([key]))
            .unwrap()
    }

    #[test]
    fn a_way_that_mail_cannot_leave_keeps_the_function_from_starting() {
        let start = |mail, link| InvitationMail::new(&settings(mail, link), &Clients::new()).map(|m| m.mail);
        assert!(matches!(start("", ""), Ok(Mail::Nowhere)));
        assert!(matches!(
            start("ses:no-reply@piecework.example", "https://a.example/#{token}"),
            Ok(Mail::Ses { .. })
        ));
        for wrong in ["ses", "ses:", "smtp:a@b.example", "ses:ü@b.example"] {
            assert!(matches!(start(wrong, ""), Err(SettingError::Unusable { name: "MAIL", .. })), "{wrong}");
        }
        let lost = start("", "https://a.example/");
        assert!(matches!(lost, Err(SettingError::Unusable { name: "INVITATION_LINK", .. })));
    }

    #[test]
    fn look_alikes_are_shown_as_what_they_are() {
        // Cyrillic а in the domain of one, in the local part of the other.
        let shown = |text: &str| shown(&EmailAddress::parse(text).unwrap());
        assert_eq!(shown("bob@\u{430}pple.example"), "bob@xn--pple-43d.example");
        assert_eq!(shown("\u{430}da@example.com"), "<U+0430>da@example.com");
        assert_eq!(shown("ada@example.com"), "ada@example.com");
        let invitation = Invitation {
            id: InvitationId::new(),
            email: EmailAddress::parse("bob@\u{430}pple.example").unwrap(),
            role: Role::Member,
            state: InvitationState::Open,
            invited_by: UserId::new(),
            created_at: Timestamp::UNIX_EPOCH,
            valid_until: "2026-11-28T14:03:07Z".parse().unwrap(),
        };
        let inviter = ("Eve", Some("eve@ex\u{430}mple.com"));
        let words = Words { workspace: "Team", inviter, invitation: &invitation, way: "pwi_x" };
        let text = words.text();
        assert!(text.contains("for bob@xn--pple-43d.example,") && text.contains("Eve (eve@xn--"), "{text}");
        assert!(text.is_ascii() && text.contains("until 28 November 2026, 14:03 UTC."), "{text}");
        assert_eq!(deliverable(&invitation.email).unwrap(), "bob@xn--pple-43d.example");
        assert_eq!(deliverable(&EmailAddress::parse("\u{430}da@example.com").unwrap()), None);
    }
}
