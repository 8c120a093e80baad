//! What travels: a header of 16 bytes, then the record.
//!
//! ```text
//!  0        8        16
//!  ├ number ┼  sent  ┼─ record ──
//!    of the   CLOCK_MONOTONIC when the sender called send, in nanoseconds
//!    record in the repeated file; its sender is number mod P
//! ```

/// Bytes before the record.
pub const HEADER: usize = 16;

/// What stands before the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The record's number, from 0.
    pub number: u64,
    /// When it was sent, in nanoseconds of the monotonic clock.
    pub sent: u64,
}

impl Header {
    /// Makes `message` this header alone.
    pub fn begin(self, message: &mut Vec<u8>) {
        message.clear();
        message.extend(self.number.to_le_bytes());
        message.extend(self.sent.to_le_bytes());
    }

    /// Notes in `message`, which has a header, when it is sent.
    pub fn stamp(message: &mut [u8], sent: u64) {
        message[8..HEADER].copy_from_slice(&sent.to_le_bytes());
    }

    /// The header and the record of a message.
    pub fn parse(message: &[u8]) -> Option<(Header, &[u8])> {
        let (number, rest) = message.split_first_chunk()?;
        let (sent, record) = rest.split_first_chunk()?;
        let header =
            Header { number: u64::from_le_bytes(*number), sent: u64::from_le_bytes(*sent) };
        Some((header, record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_parses_to_what_it_was_made_of() {
        let mut message = vec![1, 2, 3];
        Header { number: 7, sent: 0 }.begin(&mut message);
        message.extend(b"record");
        Header::stamp(&mut message, 9);
        let header = Header { number: 7, sent: 9 };
        assert_eq!(Header::parse(&message), Some((header, &b"record"[..])));
        assert_eq!(Header::parse(&message[..HEADER - 1]), None);
    }
}
