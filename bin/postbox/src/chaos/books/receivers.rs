//! The receivers' pages: in which order they had what, and what the killed may have had.

use super::{Judged, Rule, Victim, Violation, against};
use crate::chaos::note::Receiving;
use std::collections::HashMap;

/// All receivers since the books were last settled.
#[derive(Debug, Default)]
pub struct Receivers {
    pages: HashMap<u32, Page>,
}

/// One receiver.
#[derive(Debug)]
struct Page {
    victim: Victim,
    /// When its call began, and how many messages it takes at most; none between calls.
    call: Option<(u64, u8)>,
    /// The number of the last message of each sender.
    last: HashMap<u32, u64>,
    died: Option<u64>,
}

/// A receiver that was killed, and what it may have had without noting it.
#[derive(Debug)]
pub struct Killed<'r> {
    /// Who.
    pub victim: Victim,
    /// When.
    pub died: u64,
    /// How many messages its last call may have taken.
    pub most: u8,
    /// The number of the last message of each sender that it noted.
    pub last: &'r HashMap<u32, u64>,
}

impl Receivers {
    pub fn enlist(&mut self, victim: Victim) {
        let page = Page { victim, call: None, last: HashMap::new(), died: None };
        self.pages.insert(victim.number, page);
    }

    pub fn killed(&mut self, number: u32, at: u64) {
        if let Some(page) = self.pages.get_mut(&number) {
            page.died = Some(at);
        }
    }

    pub fn begin(&mut self, victim: Victim, receiving: &Receiving) -> Judged {
        self.page(victim)?.call = Some((receiving.at, receiving.most));
        Ok(())
    }

    /// Its call has ended; when it began.
    pub fn end(&mut self, victim: Victim) -> Result<u64, Violation> {
        match self.page(victim)?.call.take() {
            Some((began, _)) => Ok(began),
            None => against(Rule::Failed, format!("{victim} noted the end of no call")),
        }
    }

    /// Whether that comes after the sender's last one.
    pub fn in_order(&mut self, victim: Victim, sender: u32, seq: u64) -> Judged {
        match self.page(victim)?.last.insert(sender, seq) {
            Some(last) if last > seq => against(
                Rule::OutOfOrder,
                format!("{victim} received message {seq} of sender {sender} after its {last}"),
            ),
            // The same once more is found out by the sender's page.
            _ => Ok(()),
        }
    }

    /// How many there were.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Those that were killed.
    pub fn killed_ones(&self) -> Vec<Killed<'_>> {
        let mut killed: Vec<_> = self
            .pages
            .values()
            .filter_map(|page| {
                let most = page.call.map_or(0, |(_, most)| most);
                let (victim, last) = (page.victim, &page.last);
                page.died.map(|died| Killed { victim, died, most, last })
            })
            .collect();
        killed.sort_by_key(|killed| killed.victim.number);
        killed
    }

    /// Those that died before that are forgotten, and of the other dead what they had in hand. What the
    /// living had last is not: order holds for as long as they live.
    pub fn clear(&mut self, noticed: u64) {
        self.pages.retain(|_, page| page.died.is_none_or(|died| died > noticed));
        for page in self.pages.values_mut().filter(|page| page.died.is_some()) {
            page.call = None;
        }
    }

    /// Those senders are gone, and all that they sent.
    pub fn forget(&mut self, gone: impl Fn(u32) -> bool) {
        self.pages.values_mut().for_each(|page| page.last.retain(|sender, _| !gone(*sender)));
    }

    fn page(&mut self, victim: Victim) -> Result<&mut Page, Violation> {
        match self.pages.get_mut(&victim.number) {
            Some(page) => Ok(page),
            None => against(Rule::Failed, format!("{victim} notes what only receivers do")),
        }
    }
}
