//! What `--or-open` finds, beside what was asked for: only that counts which was said.

use super::create::Create;
use crate::NAME;
use postbox::{Access, MailboxStatus, Rights};
use postbox_program::carriage::Size;
use postbox_program::ending::{Ending, complain};
use std::fmt::Display;

/// Takes the mailbox that there is if it is what was asked for. Who may use it changes in the life of a
/// mailbox: that is told where it is not as it was to be at first.
///
/// # Errors
///
/// A failure that names all that is other.
pub(super) fn accept(asked: &Create, there: &MailboxStatus) -> Result<(), Ending> {
    let schema = there.schema.as_deref().unwrap_or("any");
    let other = [
        differs("mechanism", asked.carriage.mechanism, there.mechanism),
        differs("capacity", asked.carriage.capacity, there.capacity),
        differs(
            "max-message",
            asked.carriage.max_message.map(|Size(bytes)| bytes),
            there.max_message,
        ),
        differs("policy", asked.policy, there.policy),
        differs("schema", asked.schema.as_deref(), schema),
    ];
    let other: Vec<String> = other.into_iter().flatten().collect();
    if !other.is_empty() {
        return Err(Ending::Failure(format!(
            "mailbox '{}' exists already, with {}: leave that out to use it as it is, or take another name",
            there.name,
            other.join(", ")
        )));
    }
    tell(there, "receive", asked.receivers.as_ref(), &there.may_receive);
    tell(there, "send", asked.senders.as_ref(), &there.may_send);
    Ok(())
}

fn differs<T: Display + PartialEq>(what: &str, asked: Option<T>, there: T) -> Option<String> {
    let asked = asked.filter(|asked| *asked != there)?;
    Some(format!("{what} {there} instead of {asked}"))
}

fn tell(there: &MailboxStatus, may: &str, asked: Option<&Access>, rights: &Rights) {
    if let Some(asked) = asked.filter(|asked| !rights.is_as(asked)) {
        let name = &there.name;
        let asked = match asked {
            // Names that read like a word for rights are no less names.
            Access::Listed(names) => {
                names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
            }
            Access::Owner | Access::Members => asked.to_string(),
        };
        complain(
            NAME,
            &format!(
                "mailbox '{name}' exists already: may {may}: {rights} instead of {asked}; \
                 'postbox mailbox grant' and 'revoke' change that"
            ),
        );
    }
}
