//! The terms of a link: from options to a packet, from a packet to channels, and whether two agree.

use super::options::{Direction, LinkOptions};
use crate::channel::{Channel, Options};
use crate::domain::links::{Flow, LinkTerms};
use crate::error::{CreateError, Fault};
use crate::mechanism::{Capacity, Mechanism};
use std::fmt;

impl LinkTerms {
    /// What those options ask for.
    ///
    /// # Errors
    ///
    /// A schema that is too long.
    pub(crate) fn of(options: &LinkOptions) -> Result<Self, CreateError> {
        let schema = &options.schema;
        if let Some(schema) = schema.as_ref().filter(|s| s.len() > LinkOptions::MAX_SCHEMA) {
            return Err(CreateError::Option {
                option: "schema",
                value: schema.len() as u64,
                range: "0..=64 bytes",
            });
        }
        let config = options.options.config();
        config.check()?;
        Ok(LinkTerms {
            mechanism: config.mechanism.code(),
            capacity: match config.capacity {
                Capacity::Zero => Some(0),
                Capacity::Bounded(n) => Some(n),
                Capacity::Unbounded => None,
            },
            max_message: config.max_message as u64,
            fixed_size: config.fixed_size.map(|bytes| bytes as u64),
            byte_cap: config.byte_cap,
            schema: schema.clone(),
            flow: match options.direction {
                Direction::Both => Flow::Both,
                Direction::Outward => Flow::Outward,
            },
        })
    }

    /// The same terms, seen from the other side.
    pub(crate) fn turned(mut self) -> Self {
        self.flow = match self.flow {
            Flow::Both => Flow::Both,
            Flow::Outward => Flow::Inward,
            Flow::Inward => Flow::Outward,
        };
        self
    }

    /// One of the link's channels. What another process asks for is checked like a user's own.
    pub(super) fn channel(&self) -> Result<Channel, CreateError> {
        Channel::create(self.options()?.config())
    }

    /// What to create a channel with. Nothing is checked yet but the mechanism.
    pub(crate) fn options(&self) -> Result<Options, Fault> {
        let bytes = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let mechanism = Mechanism::from_code(self.mechanism)
            .ok_or(Fault::Corrupt("a link is asked for over a mechanism that there is not"))?;
        let mut options = Options::new(mechanism)
            .capacity(match self.capacity {
                Some(0) => Capacity::Zero,
                Some(n) => Capacity::Bounded(n),
                None => Capacity::Unbounded,
            })
            .max_message(bytes(self.max_message))
            .byte_cap(self.byte_cap);
        if let Some(size) = self.fixed_size {
            options = options.fixed_size(bytes(size));
        }
        Ok(options)
    }

    /// Whether a link on these terms will do for one who asked for `others`. The byte cap is not
    /// compared: it depends on the machine.
    pub(crate) fn agree_with(&self, others: &LinkTerms) -> bool {
        self.mechanism == others.mechanism
            && self.capacity == others.capacity
            && self.max_message == others.max_message
            && self.fixed_size == others.fixed_size
            && self.flow == others.flow
            && schemas_agree(self.schema.as_deref(), others.schema.as_deref())
    }
}

/// Whoever states none takes any.
pub(super) fn schemas_agree(one: Option<&str>, other: Option<&str>) -> bool {
    one.zip(other).is_none_or(|(one, other)| one == other)
}

/// A schema, for an error.
pub(super) fn shown(schema: Option<&str>) -> String {
    schema.map_or("no schema".into(), |schema| format!("the schema {schema:?}"))
}

impl fmt::Display for LinkTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Mechanism::from_code(self.mechanism) {
            Some(mechanism) => write!(f, "{mechanism}")?,
            None => f.write_str("an unknown mechanism")?,
        }
        match self.capacity {
            Some(n) => write!(f, ", capacity {n}")?,
            None => f.write_str(", unbounded")?,
        }
        match self.fixed_size {
            Some(size) => write!(f, ", messages of exactly {size} bytes")?,
            None => write!(f, ", messages of up to {} bytes", self.max_message)?,
        }
        if let Some(schema) = &self.schema {
            write!(f, ", schema {schema:?}")?;
        }
        f.write_str(match self.flow {
            Flow::Both => ", both ways",
            Flow::Outward => ", outward only",
            Flow::Inward => ", inward only",
        })
    }
}
