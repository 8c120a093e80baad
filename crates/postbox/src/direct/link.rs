//! One link: the two channels between this process and one partner, and the ends that keep them
//! open for as long as both are joined.
//!
//! ```text
//!         the maker (smaller name)                       the other
//!   standing sender   ──────────── forth ────────────►  standing receiver
//!   standing receiver ◄──────────── back ─────────────  standing sender
//! ```
//!
//! The maker takes all four seats and makes two of them over to the other *before* it tells the
//! other of the link: nobody ever sees a side without its end, and should the other die before it
//! hears of the link, its seats are buried like any dead member's.

use crate::channel::{Channel, End, Lifetime, Role, Seat};
use crate::domain::links::{Flow, LinkOffer, LinkTerms, WireSeat};
use crate::error::{CreateError, Fault};
use crate::mechanism::{Capacity, Form, WaitStrategy};
use crate::name::Name;
use crate::peer::Peer;
use crate::process::Identity;
use postbox_steps::{Step, at};
use postbox_sys::process;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The process at the other side, as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Partner {
    pub(super) name: Name,
    pub(super) identity: Identity,
}

/// What is known once the partner has answered, or asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Confirmed {
    pub(super) uid: u32,
    /// Tells one membership of the partner's from another of the same process.
    pub(super) instance: u64,
}

const CURRENT: u8 = 0;
/// Over: another one may stand in its place. What is left in it can still be received.
const RETIRED: u8 = 1;

/// Why this side does not take part in what was offered.
pub(super) enum Untaken {
    /// It took part before, and left when it saw that the partner had gone: the offer came twice, by
    /// its own way and as an answer.
    Over,
    Fault(Fault),
}

impl From<Fault> for Untaken {
    fn from(fault: Fault) -> Self {
        Untaken::Fault(fault)
    }
}

/// A link, as its table and the handles of this process share it.
pub(super) struct Link {
    pub(super) id: u64,
    pub(super) partner: Partner,
    /// As seen from this side.
    pub(super) terms: LinkTerms,
    pub(super) outgoing: Option<Arc<Channel>>,
    pub(super) incoming: Option<Arc<Channel>>,
    confirmed: OnceLock<Confirmed>,
    /// Whether the partner is known to have it. One that asked for it may have given up waiting
    /// before the answer came.
    arrived: AtomicBool,
    state: AtomicU8,
    /// The partner's seats, for as long as this side is the maker.
    seats: [Option<Seat>; 2],
    standing: Mutex<Vec<End>>,
}

impl Link {
    /// Makes a link for that partner, on terms as seen from this side. What is known of the partner
    /// is there before anybody sees the link.
    pub(super) fn make(
        id: u64,
        partner: Partner,
        confirmed: Option<Confirmed>,
        terms: LinkTerms,
    ) -> Result<Self, CreateError> {
        let (out, inward) = match terms.flow {
            Flow::Both => (true, true),
            Flow::Outward => (true, false),
            Flow::Inward => (false, true),
        };
        let mut standing = Vec::new();
        let mut side = |wanted: bool, own: Role, its: Role| {
            if !wanted {
                return Ok::<_, CreateError>((None, None));
            }
            let channel = Arc::new(terms.channel()?);
            at(Step::LinkChannelMade);
            standing.push(End::join(channel.clone(), own, WaitStrategy::Block)?);
            at(Step::OwnEndStands);
            let given = End::join(channel.clone(), its, WaitStrategy::Block)?;
            at(Step::PartnersEndStands);
            given.hand_over(partner.identity);
            at(Step::PartnersEndMadeOver);
            Ok((Some(channel), Some(given.seat)))
        };
        let (outgoing, forth) = side(out, Role::Sender, Role::Receiver)?;
        let (incoming, back) = side(inward, Role::Receiver, Role::Sender)?;
        Ok(Link {
            id,
            partner,
            terms,
            outgoing,
            incoming,
            confirmed: confirmed.map(OnceLock::from).unwrap_or_default(),
            arrived: AtomicBool::new(false),
            state: AtomicU8::new(CURRENT),
            seats: [forth, back],
            standing: Mutex::new(standing),
        })
    }

    /// What the other is told of a link that this side has made.
    ///
    /// # Errors
    ///
    /// `EMFILE` and the like: the descriptors go as duplicates.
    pub(super) fn offer(&self, instance: u64) -> Result<(LinkOffer, Vec<Arc<OwnedFd>>), Fault> {
        let mut fds = Vec::new();
        let mut wire = |channel: &Option<Arc<Channel>>, seat: Option<Seat>| {
            let (Some(channel), Some(seat)) = (channel, seat) else { return Ok(None) };
            let before = fds.len();
            fds.extend(channel.fds_to_give()?.into_iter().map(Arc::new));
            Ok::<_, Fault>(Some(WireSeat {
                index: seat.index,
                generation: seat.generation,
                descriptors: (fds.len() - before) as u8,
            }))
        };
        let forth = wire(&self.outgoing, self.seats[0])?;
        let back = wire(&self.incoming, self.seats[1])?;
        let schema = self.terms.schema.clone();
        Ok((LinkOffer { id: self.id, instance, schema, forth, back }, fds))
    }

    /// Takes part in a link that the partner has made. Everything that came is checked.
    pub(super) fn take(
        offer: &LinkOffer,
        mut fds: Vec<OwnedFd>,
        partner: Partner,
        uid: u32,
    ) -> Result<Self, Untaken> {
        let mut standing = Vec::new();
        let mut side = |wire: Option<WireSeat>, role: Role| {
            let Some(wire) = wire else { return Ok(None) };
            let count = usize::from(wire.descriptors);
            if count > fds.len() {
                return Err(Fault::Corrupt("a link came with too few descriptors").into());
            }
            let channel = Arc::new(Channel::from_fds(fds.drain(..count).collect())?);
            let config = &channel.config;
            if config.lifetime != Lifetime::Ends || config.form != Form::ManyToMany {
                return Err(Fault::Corrupt("a link came with a channel of another kind").into());
            }
            let seat = Seat { index: wire.index, generation: wire.generation };
            let own = Identity::own();
            if !channel.is_seat_of(seat, role, [own, own]) {
                let its = match role {
                    Role::Sender => Role::Receiver,
                    Role::Receiver => Role::Sender,
                };
                return Err(match partner.identity.is_dead() || channel.live(its) == 0 {
                    true => Untaken::Over,
                    false => Fault::Corrupt("a link came without a seat for this process").into(),
                });
            }
            let end = End::seated(channel.clone(), seat, role, WaitStrategy::Block)?;
            end.take_over(own);
            at(Step::LinkEndTakenOver);
            standing.push(end);
            Ok::<_, Untaken>(Some(channel))
        };
        let incoming = side(offer.forth, Role::Receiver)?;
        let outgoing = side(offer.back, Role::Sender)?;
        let terms = Self::terms_of(offer, incoming.as_deref(), outgoing.as_deref())
            .ok_or(Fault::Corrupt("a link came with no channel"))?;
        let confirmed = Confirmed { uid, instance: offer.instance };
        Ok(Link {
            id: offer.id,
            partner,
            terms,
            outgoing,
            incoming,
            confirmed: confirmed.into(),
            arrived: AtomicBool::new(true),
            state: AtomicU8::new(CURRENT),
            seats: [None; 2],
            standing: Mutex::new(standing),
        })
    }

    fn terms_of(
        offer: &LinkOffer,
        incoming: Option<&Channel>,
        outgoing: Option<&Channel>,
    ) -> Option<LinkTerms> {
        let config = &incoming.or(outgoing)?.config;
        Some(LinkTerms {
            mechanism: config.mechanism.code(),
            capacity: match config.capacity {
                Capacity::Zero => Some(0),
                Capacity::Bounded(n) => Some(n),
                Capacity::Unbounded => None,
            },
            max_message: config.max_message as u64,
            fixed_size: config.fixed_size.map(|bytes| bytes as u64),
            byte_cap: config.byte_cap,
            schema: offer.schema.clone(),
            flow: match (incoming, outgoing) {
                (Some(_), Some(_)) => Flow::Both,
                (None, _) => Flow::Outward,
                (_, None) => Flow::Inward,
            },
        })
    }

    /// The partner knows of the link: it has answered, or asked.
    pub(super) fn confirm(&self, confirmed: Confirmed) {
        let _ = self.confirmed.set(confirmed);
    }

    /// The partner has said that it has the link.
    pub(super) fn has_come(&self) {
        // Pairs with the load in `has_arrived`; nothing else goes with it.
        self.arrived.store(true, Ordering::Release);
    }

    pub(super) fn has_arrived(&self) -> bool {
        // Pairs with the store in `has_come`.
        self.arrived.load(Ordering::Acquire)
    }

    pub(super) fn confirmed(&self) -> Option<Confirmed> {
        self.confirmed.get().copied()
    }

    /// The partner, for whom it may concern.
    pub(super) fn peer(&self) -> Peer {
        let pid = self.partner.identity.pid();
        // Its user as the socket told; until it has answered, as /proc tells of its pid.
        let uid = self.confirmed().map(|confirmed| confirmed.uid);
        let uid = uid.or_else(|| process::try_user_of(pid).ok().flatten());
        Peer::known(pid, uid, Some(self.partner.name.clone()))
    }

    pub(super) fn retire(&self) {
        // Pairs with the load in `is_retired`: a hint to handles, what they share is in channels.
        self.state.store(RETIRED, Ordering::Release);
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clear();
        at(Step::StandingEndsLeft);
    }

    pub(super) fn is_retired(&self) -> bool {
        // Pairs with the store in `retire`.
        self.state.load(Ordering::Acquire) == RETIRED
    }

    /// Whether the partner has died, or let go of all its ends.
    pub(super) fn is_over(&self) -> bool {
        let gone = |channel: &Option<Arc<Channel>>, its: Role| {
            channel.as_ref().is_none_or(|channel| channel.block.live(its) == 0)
        };
        self.is_retired()
            || self.partner.identity.is_dead()
            || gone(&self.outgoing, Role::Receiver) && gone(&self.incoming, Role::Sender)
    }

    /// How many descriptors it has open.
    pub(super) fn descriptors(&self) -> usize {
        let channels = self.outgoing.iter().chain(&self.incoming);
        channels.map(|channel| channel.fds().len()).sum()
    }

    /// Whether nothing can be received from it any more.
    pub(super) fn is_drained(&self) -> bool {
        self.incoming.as_ref().is_none_or(|channel| channel.is_drained())
    }
}
