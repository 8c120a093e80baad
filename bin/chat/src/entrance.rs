//! Coming into a lobby that another holds.

use crate::attend::PATIENCE;
use crate::message::{LOBBY, Note, SCHEMA, ToLobby};
use crate::room::Room;
use postbox::{Cancel, LinkError, Monitor, Name, Opening, Process, SendError, Wait};
use postbox_program::ending::Ending;
use std::time::{Duration, Instant};

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_millis(500);

/// Where another holds the lobby.
pub struct Entrance<'a> {
    pub me: Process,
    pub room: &'a Room,
    pub leaving: &'a Cancel,
}

impl Entrance<'_> {
    /// Tells the holder that one is here, and waits until it has gone, or one leaves oneself. Where it
    /// does not answer one is here all the same, for private messages.
    ///
    /// # Errors
    ///
    /// A failure: there is no way into this lobby.
    pub fn stay(self, holder: &Monitor) -> Result<(), Ending> {
        let since = Instant::now();
        let mut told = false;
        loop {
            match self.enter(holder.name()) {
                Ok(()) => break,
                Err(Ending::Cancelled) => return Ok(()),
                Err(error) if holder.try_wait()?.is_none() => match error {
                    // It does not answer, or is just going.
                    Ending::Nothing(_) => {}
                    error => return Err(error),
                },
                Err(_) => return Ok(()),
            }
            if !told && since.elapsed() >= PATIENCE {
                told = true;
                let name = holder.name();
                self.room.sorry(format_args!("{name} does not answer: the lobby stands still"));
            }
        }
        match holder.wait_with(&Wait::forever().cancelled_by(self.leaving)) {
            Ok(_) | Err(LinkError::Cancelled) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn enter(&self, holder: &Name) -> Result<(), Ending> {
        let wait = Wait::timeout(ATTEMPT).cancelled_by(self.leaving);
        // Made from this side, so that the holder need not wait for it.
        self.me.sender_to_with::<Note>(holder.as_str(), &wait)?;
        let opening = Opening::new().schema(SCHEMA).wait(wait);
        let lobby = self.me.open_mailbox_with::<ToLobby>(LOBBY, &opening)?;
        match self.room.enter(|| lobby.send_with(&ToLobby::Enter, &wait)) {
            Some(Err(SendError::Destroyed)) => Err(Ending::Nothing("its holder is leaving".into())),
            Some(Err(error)) => Err(error.into()),
            Some(Ok(())) | None => Ok(()),
        }
    }
}
