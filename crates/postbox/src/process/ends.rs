//! Ends that can be passed to another process.

use crate::buffer::{Consumer, Producer, SharedBuffer};
use crate::channel::{End, Receiver, Role, Sender};
use crate::error::Fault;
use crate::message::Message;

/// Ends of channels, alone or together, to be passed to a child.
///
/// Senders, receivers, and `Option`s, vectors, arrays and tuples (up to six) of them; `()` for a
/// child that gets none. A [`SharedBuffer`] and its two sides go the same way, though nobody keeps
/// account of them. The trait is sealed.
pub trait Ends: sealed::Visit {}

impl<E: sealed::Visit> Ends for E {}

/// One end, sending or receiving.
pub(crate) trait OneEnd: Sized {
    const ROLE: Role;
    fn from_end(end: End) -> Self;
    fn to_end(self) -> Result<End, Fault>;
}

impl<T: Message> OneEnd for Sender<T> {
    const ROLE: Role = Role::Sender;

    fn from_end(end: End) -> Self {
        Sender::new(end)
    }

    fn to_end(self) -> Result<End, Fault> {
        Ok(self.into_end())
    }
}

impl<T: Message> OneEnd for Receiver<T> {
    const ROLE: Role = Role::Receiver;

    fn from_end(end: End) -> Self {
        Receiver::new(end)
    }

    fn to_end(self) -> Result<End, Fault> {
        self.into_end()
    }
}

pub(crate) mod sealed {
    use super::{Consumer, End, Message, Producer, Receiver, Sender, SharedBuffer};

    pub trait Visit {
        #[allow(private_interfaces, reason = "the trait cannot be named outside the crate")]
        fn visit(&self, see: &mut dyn FnMut(&End));
    }

    impl<T: Message> Visit for Sender<T> {
        #[allow(private_interfaces, reason = "the trait cannot be named outside the crate")]
        fn visit(&self, see: &mut dyn FnMut(&End)) {
            see(self.end());
        }
    }

    impl<T: Message> Visit for Receiver<T> {
        #[allow(private_interfaces, reason = "the trait cannot be named outside the crate")]
        fn visit(&self, see: &mut dyn FnMut(&End)) {
            see(self.end());
        }
    }

    macro_rules! visit_each {
        ($( impl [$($generics:tt)*] $of:ty; )+) => {$(
            impl<$($generics)*> Visit for $of {
                #[allow(private_interfaces, reason = "the trait cannot be named outside the crate")]
                fn visit(&self, see: &mut dyn FnMut(&End)) {
                    self.iter().for_each(|ends| ends.visit(see));
                }
            }
        )+};
    }

    /// Shared memory as such has no members: a copy of what was mapped is all that a child needs.
    macro_rules! visit_nothing {
        ($($of:ident)+) => {$(
            impl<T> Visit for $of<T> {
                #[allow(private_interfaces, reason = "the trait cannot be named outside the crate")]
                fn visit(&self, _: &mut dyn FnMut(&End)) {}
            }
        )+};
    }

    visit_nothing! { Producer Consumer SharedBuffer }

    visit_each! {
        impl [E: Visit] Option<E>;
        impl [E: Visit] Vec<E>;
        impl [E: Visit, const N: usize] [E; N];
    }

    macro_rules! visit_tuples {
        ($( ($($part:ident),*) )+) => {$(
            impl<$($part: Visit),*> Visit for ($($part,)*) {
                #[allow(private_interfaces, reason = "the trait cannot be named outside the crate")]
                #[allow(non_snake_case, unused_variables, reason = "one name per part, none for ()")]
                fn visit(&self, see: &mut dyn FnMut(&End)) {
                    let ($($part,)*) = self;
                    $( $part.visit(see); )*
                }
            }
        )+};
    }

    visit_tuples! {
        () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F)
    }
}
