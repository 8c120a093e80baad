//! Receiving from a process by its name, or from anyone.

use super::desk::{Came, Desk, Inlet, Trouble, at_once};
use super::error::{DirectError, LinkError};
use super::membership::Membership;
use super::process::Process;
use crate::channel::{Delivery, Receiver};
use crate::error::ReceiveError;
use crate::message::Message;
use crate::name::Name;
use crate::peer::Peer;
use crate::wait::Wait;

impl Process {
    /// Waits for a message from that process and no other.
    ///
    /// A partner that has gone is drained first; then one call says
    /// [`Disconnected`](ReceiveError::Disconnected), and those after it begin anew. Where a receive
    /// from anyone, by this handle or a clone, has drained it already, that may go unsaid: the
    /// partner is [`Absent`](LinkError::Absent), or its successor is received from.
    ///
    /// # Errors
    ///
    /// [`LinkError`] where there is no link and none can be made, otherwise those of
    /// [`Receiver::receive`].
    pub fn receive_from<T: Message>(
        &self,
        from: &str,
    ) -> Result<Delivery<T>, DirectError<ReceiveError>> {
        self.receive_from_with(from, &Wait::forever())
    }

    /// As [`receive_from`](Self::receive_from), for as long as `wait` says, waiting for the link
    /// included.
    ///
    /// # Errors
    ///
    /// Also timed out and cancelled.
    pub fn receive_from_with<T: Message>(
        &self,
        from: &str,
        wait: &Wait,
    ) -> Result<Delivery<T>, DirectError<ReceiveError>> {
        let mut bytes = Vec::new();
        self.membership.check()?;
        let mut desk = self.desk.borrow_mut();
        let source = |name: &Name| self.membership.source(name, wait).map(Some);
        let Some(inlet) = desk.inlet(&self.membership, from, source)? else {
            return Err(LinkError::TimedOut.into());
        };
        let received = inlet.receiver.receive_into_with(&mut bytes, wait).map(|_| ());
        let from = Self::settled(&mut desk, &self.membership, from, received)?;
        drop(desk);
        Ok(Delivery::new(T::decode(&mut bytes).map_err(ReceiveError::from)?, from))
    }

    /// Never waits, and asks nobody for a link: `None` where that process has sent nothing.
    ///
    /// # Errors
    ///
    /// Those of [`receive_from`](Self::receive_from).
    pub fn try_receive_from<T: Message>(
        &self,
        from: &str,
    ) -> Result<Option<Delivery<T>>, DirectError<ReceiveError>> {
        let mut bytes = Vec::new();
        self.membership.check()?;
        let mut desk = self.desk.borrow_mut();
        let source = |name: &Name| self.membership.source_now(name);
        let Some(inlet) = desk.inlet(&self.membership, from, source)? else { return Ok(None) };
        let received = match inlet.receiver.try_receive_into(&mut bytes) {
            Ok(None) => return Ok(None),
            other => other.map(|_| ()),
        };
        let from = Self::settled(&mut desk, &self.membership, from, received)?;
        drop(desk);
        Ok(Some(Delivery::new(T::decode(&mut bytes).map_err(ReceiveError::from)?, from)))
    }

    /// Waits for a message from anyone; its [`sender`](Delivery::sender) is the partner as the
    /// kernel tells it: name, pid and user. Fair among those who send.
    ///
    /// It drains partners that have gone and leaves them behind without a word; a later
    /// [`receive_from`](Self::receive_from) finds them absent. A
    /// [`monitor`](Process::monitor) tells of a partner's going.
    ///
    /// It sleeps as [`Select`](crate::Select) does: on links of capacity zero a `try_send` does not
    /// find it.
    ///
    /// # Errors
    ///
    /// [`Decode`](ReceiveError::Decode) when the message taken is no `T`, or a
    /// [`Fault`](crate::Fault), which may be that of one partner's link.
    pub fn receive<T: Message>(&self) -> Result<Delivery<T>, DirectError<ReceiveError>> {
        self.receive_with(&Wait::forever())
    }

    /// As [`receive`](Self::receive), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Also timed out and cancelled.
    pub fn receive_with<T: Message>(
        &self,
        wait: &Wait,
    ) -> Result<Delivery<T>, DirectError<ReceiveError>> {
        let mut bytes = Vec::new();
        self.membership.check()?;
        let came = self.desk.borrow_mut().receive_any(&self.membership, &mut bytes, wait);
        match came {
            Ok(Came::Message(from)) => {
                Ok(Delivery::new(T::decode(&mut bytes).map_err(ReceiveError::from)?, from))
            }
            Ok(Came::Over(ended)) => Err(ReceiveError::from(ended).into()),
            Err(Trouble::Link(error)) => Err(error.into()),
            Err(Trouble::Receive(error)) => Err(error.into()),
        }
    }

    /// Never waits: `None` where nobody has sent anything.
    ///
    /// # Errors
    ///
    /// Those of [`receive`](Self::receive).
    pub fn try_receive<T: Message>(
        &self,
    ) -> Result<Option<Delivery<T>>, DirectError<ReceiveError>> {
        match self.receive_with(&at_once()) {
            Err(error) if error.is_timeout() => Ok(None),
            other => other.map(Some),
        }
    }

    /// An end of its own for messages from that process.
    ///
    /// # Errors
    ///
    /// [`LinkError`].
    pub fn receiver_from<T: Message>(&self, from: &str) -> Result<Receiver<T>, LinkError> {
        self.receiver_from_with(from, &Wait::forever())
    }

    /// As [`receiver_from`](Self::receiver_from), waiting for the link for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Also timed out and cancelled.
    pub fn receiver_from_with<T: Message>(
        &self,
        from: &str,
        wait: &Wait,
    ) -> Result<Receiver<T>, LinkError> {
        self.membership.check()?;
        let name = self.membership.partner(from)?;
        let link = self.membership.source(&name, wait)?;
        Ok(Receiver::new(link.receiver_end(&self.membership)?).with_partner(link.peer()))
    }

    /// Whose message it is; or a link that is over, drained and told so is left behind.
    fn settled(
        desk: &mut Desk,
        membership: &Membership,
        from: &str,
        received: Result<(), ReceiveError>,
    ) -> Result<Peer, DirectError<ReceiveError>> {
        let inlet = desk.inlet(membership, from, |_| Ok(None))?;
        let Some(Inlet { link, peer, .. }) = inlet else { return Err(LinkError::TimedOut.into()) };
        match received {
            Ok(()) => Ok(peer.clone()),
            Err(error) => {
                if error.is_disconnected() {
                    let link = link.id;
                    desk.close_inlet(membership, link);
                }
                Err(error.into())
            }
        }
    }
}
