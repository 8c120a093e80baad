//! Picking up ends that this program was started with.

use super::ends::OneEnd;
use super::identity::Identity;
use crate::channel::{Channel, End, Role, Seat};
use crate::error::Fault;
use crate::mechanism::WaitStrategy;
use postbox_steps::{Step, at};
use postbox_sys::{Errno, inherited as sys};
use std::fmt;
use std::os::fd::RawFd;
use std::sync::Arc;

/// Names what was passed to a program: entries of [`Offered`] and of
/// [`OfferedFd`](super::descriptor::OfferedFd), separated by semicolons.
pub(super) const ENVIRONMENT: &str = "POSTBOX_ENDS";

/// Why an end or a descriptor was not picked up.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum InheritError {
    /// Nothing of that kind and name was passed, or it has been picked up already.
    #[error(
        "no end or descriptor named '{0}' was passed to this program, or it was picked up before"
    )]
    Missing(String),
    /// It faces the other way.
    #[error("the end named '{0}' is of the other direction")]
    Direction(String),
    /// Whoever passed it died before this process could take it over.
    #[error("the end named '{0}' was lost: its giver died while passing it")]
    Lost(String),
    /// What was passed is no channel, or a limit is in the way.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// One end on offer: `name:role:index:generation:strategy:giver:first descriptor:count`.
pub(super) struct Offered<'n> {
    name: &'n str,
    role: Role,
    seat: Seat,
    strategy: WaitStrategy,
    giver: Identity,
    first: RawFd,
    count: usize,
}

impl<'n> Offered<'n> {
    pub(super) fn new(
        name: &'n str,
        end: &End,
        giver: Identity,
        first: RawFd,
        count: usize,
    ) -> Self {
        let (seat, strategy) = (end.seat, end.patience.strategy());
        Offered { name, role: end.role, seat, strategy, giver, first, count }
    }

    fn parse(text: &'n str) -> Option<Self> {
        let mut parts = text.split(':');
        let name = parts.next()?;
        let role = if parts.next()? == "s" { Role::Sender } else { Role::Receiver };
        let seat =
            Seat { index: parts.next()?.parse().ok()?, generation: parts.next()?.parse().ok()? };
        let strategy = match parts.next()? {
            "spin" => WaitStrategy::Spin,
            "block" => WaitStrategy::Block,
            _ => WaitStrategy::Adaptive,
        };
        let giver = Identity::from_word(parts.next()?.parse().ok()?)?;
        let (first, count) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        // Above the standard streams, and where adding the count cannot overflow.
        let in_range = (3..RawFd::MAX - 16).contains(&first) && count <= 16;
        (parts.next().is_none() && in_range).then_some(Offered {
            name,
            role,
            seat,
            strategy,
            giver,
            first,
            count,
        })
    }

    fn fds(&self) -> impl Iterator<Item = RawFd> {
        self.first..self.first + self.count as RawFd
    }
}

impl fmt::Display for Offered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = if self.role == Role::Sender { "s" } else { "r" };
        let strategy = match self.strategy {
            WaitStrategy::Spin => "spin",
            WaitStrategy::Block => "block",
            WaitStrategy::Adaptive => "adaptive",
        };
        let Seat { index, generation } = self.seat;
        let (giver, first, count) = (self.giver.to_word(), self.first, self.count);
        write!(f, "{}:{role}:{index}:{generation}:{strategy}:{giver}:{first}:{count}", self.name)
    }
}

/// The end that this program was started with under that name; see [`Spawn`](crate::Spawn).
///
/// The caller says what it carries. An end can be picked up once, and only by the process that it
/// was passed to.
///
/// # Errors
///
/// [`InheritError`].
#[allow(private_bounds, reason = "senders and receivers alone are ends")]
pub fn inherited<E: OneEnd>(name: &str) -> Result<E, InheritError> {
    let missing = || InheritError::Missing(name.to_owned());
    let offers = std::env::var(ENVIRONMENT).map_err(|_| missing())?;
    let offer = offers
        .split(';')
        .filter_map(Offered::parse)
        .find(|offer| offer.name == name)
        .ok_or_else(missing)?;
    if offer.role != E::ROLE {
        return Err(InheritError::Direction(name.to_owned()));
    }
    Identity::establish()?;
    // Copies first: in a program that this one starts in turn, the numbers may be anybody's.
    let copies = offer.fds().map(sys::duplicate).collect::<Result<Vec<_>, _>>();
    let copies = copies.map_err(|errno| match errno {
        Errno::EBADF => missing(),
        errno => Fault::System { call: "dup", errno }.into(),
    })?;
    let channel = Channel::from_fds(copies)?;
    if !channel.is_seat_of(offer.seat, offer.role, [offer.giver, Identity::own()]) {
        return Err(InheritError::Lost(name.to_owned()));
    }
    let end = End::seated(Arc::new(channel), offer.seat, offer.role, offer.strategy)?;
    at(Step::EndFound);
    if !end.take_over(offer.giver) {
        return Err(match end.check() {
            Ok(()) | Err(Fault::NotPassed) => InheritError::Lost(name.to_owned()),
            Err(fault) => fault.into(),
        });
    }
    // It is this channel's end, so these descriptors are ours to close.
    for number in offer.fds() {
        sys::close(number);
    }
    Ok(E::from_end(end))
}
