//! All the steps there are.

macro_rules! steps {
    ($($(#[$doc:meta])* $step:ident,)*) => {
        /// A moment at which a death must harm nobody.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(usize)]
        pub enum Step { $($(#[$doc])* $step,)* }

        impl Step {
            /// Every one.
            pub const ALL: &[Step] = &[$(Step::$step),*];

            /// As it is written in the source.
            pub const fn name(self) -> &'static str {
                match self { $(Step::$step => stringify!($step),)* }
            }
        }
    };
}

steps! {
    // Admission.
    /// A ticket counts as admitted, and no entry has it yet.
    TicketTaken,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Step {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let named = Step::ALL.iter().find(|step| step.name() == name);
        named.copied().ok_or_else(|| format!("there is no step {name}"))
    }
}
