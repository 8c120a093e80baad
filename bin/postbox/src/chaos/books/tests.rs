//! A ledger that cannot find anything proves nothing: each test shows it one breach of the contract,
//! and it has to say which.

use super::*;
use crate::chaos::note::{Call, Refusal};

const MS: u64 = 1_000_000;

fn victim(number: u32, seat: Seat) -> Victim {
    Victim { number, pid: 1000 + number, seat, since: 0 }
}

fn sender() -> Victim {
    victim(1, Seat::Producer(0))
}

fn receiver() -> Victim {
    victim(2, Seat::Consumer(0))
}

fn other() -> Victim {
    victim(3, Seat::Consumer(1))
}

/// What happens, in the order in which the books hear of it.
struct Story {
    books: Books,
    /// The place of the receiver that is named, where one is.
    to: Option<u8>,
    heard: Judged,
}

impl Story {
    fn over(capacity: Capacity, direct: bool) -> Self {
        let mut books = Books::new(capacity, direct);
        [sender(), receiver(), other()].into_iter().for_each(|victim| books.enlist(victim));
        Story { books, to: direct.then_some(0), heard: Ok(()) }
    }

    fn new() -> Self {
        Story::over(Capacity::Bounded(2), false)
    }

    fn note(mut self, victim: Victim, note: Note) -> Self {
        if self.heard.is_ok() {
            self.heard = self.books.enter(victim, &note);
        }
        self
    }

    fn begins(self, at: u64, call: Call, first: u64, count: u8) -> Self {
        let (at, to) = (at * MS, self.to);
        let sending = Sending { at, call, first, count, empty: 0, to };
        self.note(sender(), Note::Sending(sending))
    }

    fn ends(self, at: u64, went: u8, receipt: Option<u32>) -> Self {
        let refusal = None;
        self.note(sender(), Note::Sent(Sent { at: at * MS, went, receipt, refusal }))
    }

    /// One `send`, from then to then.
    fn sent(self, from: u64, to: u64, seq: u64) -> Self {
        self.begins(from, Call::Send, seq, 1).ends(to, 1, None)
    }

    fn delivered(self, from: u64, to: u64, seq: u64, pid: u32) -> Self {
        self.begins(from, Call::Deliver, seq, 1).ends(to, 1, Some(pid))
    }

    fn failed(self, from: u64, to: u64, seq: u64) -> Self {
        let refusal = Some(Refusal::TimedOut);
        let sent = Sent { at: to * MS, went: 0, receipt: None, refusal };
        self.begins(from, Call::DeliverWith, seq, 1).note(sender(), Note::Sent(sent))
    }

    fn asks(self, at: u64, by: Victim, most: u8) -> Self {
        let receiving = Receiving { at: at * MS, call: Call::Receive, most, from: None };
        self.note(by, Note::Receiving(receiving))
    }

    fn gets(self, at: u64, by: Victim, got: Got) -> Self {
        let received = Received { at: at * MS, got: vec![got], refusal: None };
        self.note(by, Note::Received(received))
    }

    /// One `receive`, from then to then.
    fn received(self, from: u64, to: u64, by: Victim, seq: u64) -> Self {
        self.asks(from, by, 1).gets(to, by, Got::Traffic { sender: sender().number, seq })
    }

    /// A receiver comes, is killed in its first call, and had been started by then.
    fn killed_young(mut self, at: u64) -> Self {
        let young = Victim { since: at * MS, ..victim(4, Seat::Consumer(2)) };
        self.books.enlist(young);
        self.asks(at + 1, young, 1).killed(at + 2, young)
    }

    fn killed(mut self, at: u64, victim: Victim) -> Self {
        self.books.killed(victim, at * MS);
        self
    }

    fn settled(mut self) -> Result<Vec<Loss>, Violation> {
        self.heard?;
        self.books.settle(u64::MAX)
    }

    /// Nothing is wrong with it, and that many losses are explained.
    #[track_caller]
    fn explains(self, losses: usize) {
        assert_eq!(self.settled().map(|losses| losses.len()), Ok(losses));
    }

    /// That is wrong with it, and the account names these.
    #[track_caller]
    fn breaks(self, rule: Rule, named: &[&str]) {
        let violation = self.settled().unwrap_err();
        assert_eq!(violation.rule, rule, "{violation:?}");
        for name in named {
            assert!(violation.account.contains(name), "'{name}' is not in: {}", violation.account);
        }
    }
}

#[test]
fn what_waited_is_laid_at_the_door_of_one_that_came_later() {
    let sent = |capacity, call| {
        let story = Story::over(capacity, false);
        story.begins(1, call, 0, 1).ends(2, 1, None).killed_young(5)
    };
    sent(Capacity::Bounded(2), Call::Send).explains(1);
    sent(Capacity::Unbounded, Call::Send).explains(1);
    // Where the two sides meet, a send has ended when its message was taken.
    sent(Capacity::Zero, Call::Send).breaks(Rule::Lost, &["message 0"]);
    sent(Capacity::Zero, Call::TrySend).explains(1);
}

#[test]
fn a_good_story_is_good_in_whatever_order_it_is_heard() {
    let story = Story::new().sent(0, 1, 0).sent(2, 3, 1).delivered(4, 7, 2, receiver().pid);
    let story = story.received(0, 4, receiver(), 0).received(5, 6, receiver(), 2);
    story.received(1, 5, other(), 1).explains(0);
    let story = Story::new().received(0, 4, receiver(), 0).received(5, 6, receiver(), 2);
    let story = story.received(1, 5, other(), 1).sent(0, 1, 0).sent(2, 3, 1);
    story.delivered(4, 7, 2, receiver().pid).explains(0);
}

#[test]
fn a_message_that_comes_twice_is_found() {
    let story = Story::new().sent(0, 1, 0).received(0, 2, receiver(), 0);
    story
        .received(2, 3, other(), 0)
        .breaks(Rule::Doubled, &["message 0", "consumer-0", "consumer-1"]);
    let story = Story::new().sent(0, 1, 0).received(0, 2, receiver(), 0);
    story.received(2, 3, receiver(), 0).breaks(Rule::Doubled, &["message 0", "producer-0"]);
}

#[test]
fn a_message_that_comes_twice_is_found_however_much_came_in_between() {
    let mut story = Story::new();
    for seq in 0..5000 {
        story = story.sent(seq, seq, seq).received(seq, seq, receiver(), seq);
    }
    story.received(5000, 5001, other(), 3).breaks(Rule::Doubled, &["message 3", "consumer-1"]);
}

#[test]
fn a_message_that_had_failed_and_is_seen_is_found_in_either_order() {
    let story = Story::new().failed(0, 1, 0).received(0, 2, receiver(), 0);
    story.breaks(Rule::FailedButSeen, &["message 0", "producer-0", "consumer-0"]);
    let story = Story::new().received(0, 2, receiver(), 0).failed(0, 1, 0);
    story.breaks(Rule::FailedButSeen, &["message 0", "producer-0", "consumer-0"]);
    // And that part of a batch that did not go.
    let story = Story::new().begins(0, Call::SendBatch, 0, 4).ends(1, 2, None);
    story.received(0, 2, receiver(), 2).breaks(Rule::FailedButSeen, &["message 2"]);
}

#[test]
fn messages_out_of_order_are_found_for_each_receiver() {
    let story = Story::new().sent(0, 1, 0).sent(1, 2, 1).received(0, 3, receiver(), 1);
    story.received(3, 4, receiver(), 0).breaks(Rule::OutOfOrder, &["message 0", "after its 1"]);
    // Two receivers know nothing of each other.
    let story = Story::new().sent(0, 1, 0).sent(1, 2, 1).received(0, 3, receiver(), 1);
    story.received(0, 4, other(), 0).explains(0);
}

#[test]
fn order_holds_beyond_a_settling() {
    let mut story = Story::new().sent(0, 1, 0).sent(1, 2, 5).received(0, 3, receiver(), 5);
    story = story.received(0, 3, other(), 0);
    story.books.settle(u64::MAX).unwrap();
    story.received(4, 5, receiver(), 2).breaks(Rule::OutOfOrder, &["message 2", "after its 5"]);
}

#[test]
fn a_loss_that_nobody_explains_is_found() {
    let named = ["message 1", "producer-0", "no receiver was killed"];
    let story = Story::new().sent(0, 1, 0).sent(2, 3, 1).received(0, 4, receiver(), 0);
    story.breaks(Rule::Lost, &named);
}

#[test]
fn a_killed_receiver_explains_what_its_last_call_may_have_taken_and_no_more() {
    let story = || Story::new().sent(0, 1, 0).sent(1, 2, 1).asks(0, receiver(), 1);
    story().received(0, 2, other(), 0).killed(5, receiver()).explains(1);
    story().killed(5, receiver()).breaks(Rule::Lost, &["message 1", "consumer-0", "1 more"]);
    let story = Story::new().sent(0, 1, 0).sent(1, 2, 1).asks(0, receiver(), 8);
    story.killed(5, receiver()).explains(2);
}

#[test]
fn a_receiver_between_calls_explains_nothing() {
    let story = Story::new().sent(0, 1, 0).sent(1, 2, 1).received(0, 2, receiver(), 0);
    story.killed(5, receiver()).breaks(Rule::Lost, &["message 1", "may have had 0"]);
}

#[test]
fn a_receiver_that_died_before_the_message_was_sent_explains_nothing() {
    let story = Story::new().asks(0, receiver(), 1).killed(1, receiver());
    story.sent(2, 3, 0).breaks(Rule::Lost, &["message 0"]);
}

#[test]
fn a_receiver_that_had_a_later_one_does_not_explain_an_earlier_one() {
    let story = Story::new().sent(0, 1, 0).sent(1, 2, 1).received(0, 2, receiver(), 1);
    story.asks(3, receiver(), 1).killed(5, receiver()).breaks(Rule::Lost, &["message 0"]);
}

#[test]
fn losses_go_to_whoever_of_the_killed_can_have_had_them() {
    // One could have had either, the other only the first: both are needed.
    let story = Story::new().sent(0, 1, 0).asks(0, receiver(), 1).asks(0, other(), 1);
    let story = story.killed(2, other()).sent(3, 4, 1).killed(5, receiver());
    let losses = story.settled().unwrap();
    let told: Vec<_> = losses.iter().map(|loss| (loss.message.seq, loss.by.number)).collect();
    assert_eq!(told, [(Some(0), other().number), (Some(1), receiver().number)]);
}

#[test]
fn a_receipt_names_who_had_the_message() {
    let story = Story::new().delivered(0, 3, 0, receiver().pid).received(0, 2, other(), 0);
    story.breaks(Rule::WrongReceipt, &["message 0", "consumer-1", "1002"]);
    let story = Story::new().delivered(0, 3, 0, receiver().pid).received(4, 5, receiver(), 0);
    story.breaks(Rule::WrongReceipt, &["message 0", "before", "consumer-0"]);
}

#[test]
fn a_receipt_of_a_receiver_that_did_not_die_explains_no_loss() {
    let story = || {
        let story = Story::new().delivered(0, 3, 0, receiver().pid);
        story.asks(0, receiver(), 1).asks(0, other(), 1)
    };
    story().killed(5, other()).breaks(Rule::Lost, &["message 0", "names process 1002"]);
    story().killed(5, receiver()).explains(1);
}

#[test]
fn what_is_sent_to_the_dead_after_a_settling_is_explained_until_the_death_must_be_known() {
    let story = |sent: u64| {
        let mut story = Story::over(Capacity::Bounded(1), true).asks(0, receiver(), 1);
        story = story.killed(10, receiver());
        story.books.settle(20 * MS).unwrap();
        story.sent(sent, sent + 1, 0)
    };
    story(30).explains(1);
    story(300).breaks(Rule::Lost, &["message 0"]);
    // What it had in hand has been settled: the link alone is left.
    story(30).sent(32, 33, 1).breaks(Rule::Lost, &["message"]);
}

#[test]
fn a_link_explains_what_waited_in_it_and_no_more() {
    let story = |count| {
        let story = Story::over(Capacity::Bounded(2), true).asks(0, receiver(), 1);
        (0..count).fold(story, |story, seq| story.sent(0, 1, seq)).killed(5, receiver())
    };
    story(3).explains(3);
    story(4).breaks(Rule::Lost, &["to consumer-0"]);
    // To a receiver that was not killed nothing is lost.
    let story = Story::over(Capacity::Bounded(2), true).sent(0, 1, 0).asks(0, other(), 1);
    story.killed(5, other()).breaks(Rule::Lost, &["message 0"]);
}

#[test]
fn more_than_the_capacity_is_found() {
    let three = || Story::new().sent(0, 1, 0).sent(1, 2, 1).sent(2, 3, 2);
    let received = |story: Story, from| {
        let story = story.received(from, from, receiver(), 0).received(from, from, receiver(), 1);
        story.received(from, from, receiver(), 2)
    };
    // The third may have gone in as the first came out.
    received(three(), 3).explains(0);
    received(three(), 4).breaks(Rule::TooMany, &["3 messages", "capacity is 2", "1.0 ms"]);
}

#[test]
fn nothing_waits_where_two_sides_meet() {
    let zero = || Story::over(Capacity::Zero, false);
    zero().sent(0, 2, 0).received(1, 3, receiver(), 0).explains(0);
    zero().sent(0, 2, 0).received(3, 4, receiver(), 0).breaks(Rule::TooMany, &["capacity is 0"]);
    // One that found a receiver waiting may be taken by a quicker one, for each receiver.
    let tried = |count| {
        let try_send = |story: Story, seq| story.begins(0, Call::TrySend, seq, 1).ends(1, 1, None);
        let story = (0..count).fold(zero(), try_send);
        (0..count).fold(story, |story, seq| story.received(3, 4, receiver(), seq))
    };
    tried(2).explains(0);
    tried(3).breaks(Rule::TooMany, &["3 messages"]);
}

#[test]
fn what_nobody_sent_is_found() {
    Story::new().received(0, 1, receiver(), 0).breaks(Rule::FromNowhere, &["message 0"]);
    let unknown = Got::Traffic { sender: 77, seq: 0 };
    let story = Story::new().asks(0, receiver(), 1).gets(1, receiver(), unknown);
    story.breaks(Rule::FromNowhere, &["sender 77"]);
    let story = Story::new().asks(0, receiver(), 1).gets(1, receiver(), Got::Spoilt);
    story.breaks(Rule::Spoilt, &["consumer-0"]);
}

#[test]
fn empty_messages_are_counted() {
    let empty = |story: Story, at: u64, first| {
        let (call, to) = (Call::Send, None);
        let sending = Sending { at: at * MS, call, first, count: 1, empty: 1, to };
        story.note(sender(), Note::Sending(sending)).ends(at, 1, None)
    };
    let got = |story: Story| {
        let pid = sender().pid;
        story.asks(0, receiver(), 1).gets(5, receiver(), Got::Empty { pid })
    };
    got(empty(Story::new(), 0, 0)).explains(0);
    got(got(empty(Story::new(), 0, 0))).breaks(Rule::Doubled, &["2 empty messages"]);
    empty(Story::new(), 0, 0).breaks(Rule::Lost, &["an empty message"]);
    got(Story::new().failed(0, 1, 0)).breaks(Rule::Doubled, &["1 empty messages"]);
    let nobody = Got::Empty { pid: 9 };
    let story = Story::new().asks(0, receiver(), 1).gets(1, receiver(), nobody);
    story.breaks(Rule::FromNowhere, &["process 9"]);
}

#[test]
fn a_call_that_fails_is_told_in_its_own_words() {
    let story = Story::new().note(receiver(), Note::Failed("the channel is corrupt".into()));
    story.breaks(Rule::Failed, &["the channel is corrupt", "consumer-0"]);
}

#[test]
fn the_books_are_empty_after_settling_and_the_dead_forgotten() {
    let mut story = Story::new().sent(0, 1, 0).asks(0, receiver(), 1).killed(2, receiver());
    assert_eq!(story.books.settle(u64::MAX).map(|losses| losses.len()), Ok(1));
    // It has explained one loss, and explains no other.
    story.sent(3, 4, 1).breaks(Rule::Lost, &["no receiver was killed"]);
}
