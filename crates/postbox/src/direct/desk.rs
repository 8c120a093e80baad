//! The ends that one handle has of the links: made at first use, each handle its own.

use super::error::LinkError;
use super::link::Link;
use super::membership::Membership;
use super::options::LinkOptions;
use crate::channel::{End, Receiver, Role, Sender};
use crate::domain::links::Insists;
use crate::error::{Fault, ReceiveError};
use crate::mechanism::WaitStrategy;
use crate::message::Bytes;
use crate::name::Name;
use crate::peer::Peer;
use crate::select::{Heard, Rota};
use crate::wait::{Ended, Wait};
use postbox_steps::{Step, at};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// A handle's sending end of a link.
pub(super) struct Outlet {
    pub(super) link: Arc<Link>,
    pub(super) sender: Sender<Bytes>,
}

/// A handle's receiving end of a link.
pub(super) struct Inlet {
    pub(super) link: Arc<Link>,
    pub(super) receiver: Receiver<Bytes>,
    pub(super) peer: Peer,
}

/// A handle's ends of all links.
#[derive(Default)]
pub(super) struct Desk {
    outlets: HashMap<Name, Outlet>,
    /// By place; the places are those of the rota.
    inlets: Vec<Option<Inlet>>,
    /// The place of each link's inlet.
    places: HashMap<u64, usize>,
    /// The place that is read when that partner's messages are asked for.
    reading: HashMap<Name, usize>,
    anyone: Option<Anyone>,
}

/// What a receive from anyone waits on.
struct Anyone {
    rota: Rota,
    /// The version of the switchboard that it is true to.
    version: u64,
}

/// What came from anyone.
pub(super) enum Came {
    Message(Peer),
    Over(Ended),
}

impl Link {
    fn sending(&self, membership: &Membership, strategy: WaitStrategy) -> Result<End, LinkError> {
        let unidirectional = || LinkError::Unidirectional { name: self.partner.name.clone() };
        let channel = self.outgoing.clone().ok_or_else(unidirectional)?;
        Ok(End::join_as(channel, Role::Sender, strategy, Some(membership.name()))?)
    }

    fn receiving(&self, membership: &Membership, strategy: WaitStrategy) -> Result<End, LinkError> {
        let unidirectional = || LinkError::Unidirectional { name: self.partner.name.clone() };
        let channel = self.incoming.clone().ok_or_else(unidirectional)?;
        Ok(End::join_as(channel, Role::Receiver, strategy, Some(membership.name()))?)
    }

    /// One more sending end, as the process has asked for its links to wait.
    pub(super) fn sender_end(&self, membership: &Membership) -> Result<End, LinkError> {
        self.sending(membership, membership.defaults.options.strategy())
    }

    /// One more receiving end.
    pub(super) fn receiver_end(&self, membership: &Membership) -> Result<End, LinkError> {
        self.receiving(membership, membership.defaults.options.strategy())
    }
}

impl Desk {
    /// The sending end for that partner, of a link that is not known to be over.
    pub(super) fn outlet(
        &mut self,
        membership: &Membership,
        to: &str,
        options: &LinkOptions,
        wait: &Wait,
    ) -> Result<&Outlet, LinkError> {
        // Looked up twice: what is found first cannot be lent out and replaced.
        if self.outlets.get(to).is_none_or(|outlet| outlet.link.is_retired()) {
            let name = membership.partner(to)?;
            self.outlets.remove(&name);
            let link = membership.link(&name, options, Insists::No, wait)?;
            let sender = Sender::new(link.sender_end(membership)?).with_partner(link.peer());
            at(Step::OutletMade);
            self.outlets.insert(name, Outlet { link, sender });
        }
        self.outlets.get(to).ok_or(LinkError::TimedOut)
    }

    /// The receiving end for that partner, the oldest first: `source` finds a link where this
    /// handle has none.
    pub(super) fn inlet(
        &mut self,
        membership: &Membership,
        from: &str,
        source: impl FnOnce(&Name) -> Result<Option<Arc<Link>>, LinkError>,
    ) -> Result<Option<&Inlet>, LinkError> {
        let place = match self.reading.get(from) {
            Some(place) => *place,
            None => {
                let name = membership.partner(from)?;
                let Some(link) = source(&name)? else { return Ok(None) };
                let place = self.place(membership, &link)?;
                self.reading.insert(name, place);
                place
            }
        };
        Ok(self.inlets[place].as_ref())
    }

    /// The place of this link's inlet, which is made if it has none.
    fn place(&mut self, membership: &Membership, link: &Arc<Link>) -> Result<usize, LinkError> {
        if let Some(place) = self.places.get(&link.id) {
            return Ok(*place);
        }
        let peer = link.peer();
        let receiver = Receiver::new(link.receiver_end(membership)?).with_partner(peer.clone());
        at(Step::InletMade);
        let inlet = Inlet { link: link.clone(), receiver, peer };
        let place = self.inlets.iter().position(Option::is_none).unwrap_or(self.inlets.len());
        match self.inlets.get_mut(place) {
            Some(free) => *free = Some(inlet),
            None => self.inlets.push(Some(inlet)),
        }
        self.places.insert(link.id, place);
        Ok(place)
    }

    /// That link is over, and drained.
    pub(super) fn close_inlet(&mut self, membership: &Membership, link: u64) {
        let Some(place) = self.places.remove(&link) else { return };
        self.reading.retain(|_, reading| *reading != place);
        if let Some(anyone) = &mut self.anyone {
            anyone.rota.remove(place);
        }
        if let Some(inlet) = self.inlets[place].take() {
            membership.board.forget(&inlet.link);
        }
    }

    /// Receives from whichever link has something first, into `buffer`.
    pub(super) fn receive_any(
        &mut self,
        membership: &Membership,
        buffer: &mut Vec<u8>,
        wait: &Wait,
    ) -> Result<Came, Trouble> {
        if let Some(anyone) = &mut self.anyone {
            anyone.rota.begin();
        }
        loop {
            self.take_in(membership)?;
            while let Some(place) = self.anyone.as_mut().and_then(|anyone| anyone.rota.next()) {
                let Some(inlet) = &self.inlets[place] else { break };
                let link = inlet.link.id;
                match inlet.receiver.try_receive_into(buffer) {
                    Ok(Some(_)) => return Ok(Came::Message(inlet.peer.clone())),
                    Ok(None) => self.pass_on(),
                    // It is never ended by absence: the others remain, and those to come.
                    Err(ReceiveError::Disconnected) => self.close_inlet(membership, link),
                    Err(error) => {
                        match &error {
                            ReceiveError::Fault(Fault::System { .. }) => self.pass_on(),
                            // It would say the same for ever.
                            _ => self.close_inlet(membership, link),
                        }
                        return Err(Trouble::Receive(error));
                    }
                }
            }
            let Some(anyone) = &mut self.anyone else { continue };
            if let Heard::Over(ended) = anyone.rota.listen(wait).map_err(LinkError::from)? {
                return Ok(Came::Over(ended));
            }
        }
    }

    fn pass_on(&mut self) {
        if let Some(anyone) = &mut self.anyone {
            anyone.rota.pass_on();
        }
    }

    /// Links that have come since the last look are listened to as well.
    fn take_in(&mut self, membership: &Membership) -> Result<(), LinkError> {
        if self.anyone.is_none() {
            let rota = Rota::new()?;
            rota.add_bell(membership.board.bell())?;
            self.anyone = Some(Anyone { rota, version: u64::MAX });
        }
        let version = membership.board.version();
        if self.anyone.as_ref().is_some_and(|anyone| anyone.version == version) {
            return Ok(());
        }
        for link in membership.board.all() {
            if link.incoming.is_none() {
                continue;
            }
            let place = self.place(membership, &link)?;
            if let (Some(anyone), Some(inlet)) = (&mut self.anyone, &self.inlets[place])
                && !anyone.rota.has(place)
            {
                let receiver = &inlet.receiver;
                anyone.rota.add(place, receiver.pollable()?, receiver.wait_strategy())?;
                at(Step::LinkListenedTo);
            }
        }
        if let Some(anyone) = &mut self.anyone {
            anyone.version = version;
        }
        Ok(())
    }
}

/// Why nothing could be received from anyone.
pub(super) enum Trouble {
    Link(LinkError),
    Receive(ReceiveError),
}

impl From<LinkError> for Trouble {
    fn from(error: LinkError) -> Self {
        Trouble::Link(error)
    }
}

/// A wait that has no time at all.
pub(super) fn at_once() -> Wait<'static> {
    Wait::until(Instant::now())
}
