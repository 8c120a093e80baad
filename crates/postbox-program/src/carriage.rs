//! What a channel is to be, where a program makes one.

use postbox::{Absence, Capacity, LinkOptions, Mechanism, Options};
use std::str::FromStr;

/// What a channel is to be, where one is made.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Carriage {
    /// What carries the messages: pipe, socket, mqueue or shm [default: shm]
    #[arg(long, value_name = "NAME")]
    pub mechanism: Option<Mechanism>,
    /// How many messages may wait: 0 (the two sides meet), a number, or unbounded [default: 64]
    #[arg(long, value_name = "0|N|unbounded", allow_hyphen_values = true)]
    pub capacity: Option<Capacity>,
    /// The largest message, in bytes, up to 1G; K, M and G are understood. Above 256M the channel may
    /// take that much memory for what waits in it [default: 64M]
    #[arg(long, value_name = "BYTES")]
    pub max_message: Option<Size>,
}

impl Carriage {
    /// The options of a channel.
    pub fn options(&self) -> Options {
        let mut options = Options::new(self.mechanism.unwrap_or(Mechanism::SharedMemory));
        if let Some(capacity) = self.capacity {
            options = options.capacity(capacity);
        }
        if let Some(Size(bytes)) = self.max_message {
            options = options.max_message(bytes);
        }
        options
    }

    /// Whether any of it was asked for.
    pub fn is_explicit(&self) -> bool {
        self.mechanism.is_some() || self.capacity.is_some() || self.max_message.is_some()
    }

    /// The options of a link to a partner that is waited for if it is `absent`.
    pub fn links(&self, absent: Absence) -> LinkOptions {
        LinkOptions::new(self.options()).absent(absent)
    }
}

/// The largest message that a channel can be made for: 1 GiB.
const LARGEST: usize = 1 << 30;

/// A number of bytes, up to 1 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub usize);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, shift) = match text.as_bytes().last() {
            Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
            Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
            Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
            _ => (text, 0),
        };
        let bytes = digits.parse().ok().and_then(|number: usize| number.checked_mul(1 << shift));
        bytes
            .filter(|bytes| *bytes <= LARGEST)
            .map(Size)
            .ok_or_else(|| "give a number of bytes up to 1G, such as 4096, 64K or 1M".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_or_powers_of_two_of_them() {
        let cases = [("0", 0), ("4096", 4096), ("64K", 65_536), ("1m", 1 << 20), ("1G", 1 << 30)];
        for (text, bytes) in cases {
            assert_eq!(text.parse(), Ok(Size(bytes)));
        }
        for text in ["", "K", "-1", "1.5M", "64KB", "2G", "99999999999999G"] {
            text.parse::<Size>().unwrap_err();
        }
    }
}
