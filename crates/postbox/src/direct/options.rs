//! What a process wants of its links.

use crate::channel::Options;

/// Which way a link carries messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// Both ways, each over a queue of its own.
    #[default]
    Both,
    /// Only from the process that asks for the link to its partner. A receive never asks for such a
    /// link: it waits for the partner to.
    Outward,
}

/// What to do about a partner that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Absence {
    /// Say so at once: [`LinkError::Absent`](crate::LinkError::Absent).
    #[default]
    Fail,
    /// Wait until it joins, for as long as the call's [`Wait`](crate::Wait) says. A `try_send` fails
    /// all the same, and a `try_receive_from` finds nothing.
    Wait,
}

/// What a link is to be. The terms are those of whoever asks first; a second process that asks for
/// others by [`link_with`](crate::Process::link_with) is refused.
///
/// ```
/// use postbox::{Absence, Capacity, Direction, LinkOptions, Mechanism, Options};
///
/// let options = LinkOptions::new(Options::new(Mechanism::Socket).capacity(Capacity::Zero))
///     .schema("reading/2")
///     .direction(Direction::Outward)
///     .absent(Absence::Wait);
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Default)]
pub struct LinkOptions {
    pub(super) options: Options,
    pub(super) schema: Option<String>,
    pub(super) direction: Direction,
    pub(super) absent: Absence,
}

impl LinkOptions {
    /// The most bytes of a schema.
    pub const MAX_SCHEMA: usize = 64;

    /// Two channels like that, one each way. The form is always many-to-many.
    pub fn new(options: Options) -> Self {
        LinkOptions { options, ..Default::default() }
    }

    /// What the messages are, in words that both sides agree on, up to
    /// [`MAX_SCHEMA`](Self::MAX_SCHEMA) bytes. A partner that states another is refused; one that
    /// states none is not.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// Which way messages go.
    pub fn direction(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }

    /// What to do about a partner that is not there.
    pub fn absent(mut self, absent: Absence) -> Self {
        self.absent = absent;
        self
    }
}

impl From<Options> for LinkOptions {
    fn from(options: Options) -> Self {
        LinkOptions::new(options)
    }
}

/// How to join a domain: what the links of the process are unless
/// [`link_with`](crate::Process::link_with) says otherwise for one of them.
#[derive(Debug, Clone, Default)]
pub struct JoinOptions {
    pub(super) links: LinkOptions,
}

impl JoinOptions {
    /// Links over shared memory, `Bounded(64)`, both ways; an absent partner is an error.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the links are.
    pub fn links(mut self, links: impl Into<LinkOptions>) -> Self {
        self.links = links.into();
        self
    }
}
