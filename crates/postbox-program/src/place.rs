//! Where one is, and under what name.

use crate::ending::Ending;
use postbox::{Domain, DomainError, JoinError, JoinOptions, LinkOptions, Name, Process};

/// Where everything is.
#[derive(Debug, Clone, clap::Args)]
pub struct Place {
    /// The domain [default: $POSTBOX_DOMAIN, or default]
    #[arg(long, value_name = "NAME")]
    domain: Option<Name>,
}

impl Place {
    /// Opens the domain.
    ///
    /// # Errors
    ///
    /// Bad input if the environment names none; otherwise a failure.
    pub fn open(&self) -> Result<Domain, Ending> {
        Domain::open(&self.name()).map_err(Ending::from)
    }

    /// The name of the domain.
    pub fn name(&self) -> String {
        self.domain.as_ref().map_or_else(Domain::default_name, Name::to_string)
    }
}

/// Where one is, and under what name.
#[derive(Debug, Clone, clap::Args)]
pub struct Member {
    #[command(flatten)]
    place: Place,
    /// The name to join the domain under [default: the program's and the process id, as in
    /// producer-1234]
    #[arg(long = "as", value_name = "NAME")]
    name: Option<Name>,
}

impl Member {
    /// Joins the domain on behalf of `program`; `links` says what its links are unless a partner
    /// has said otherwise before.
    ///
    /// # Errors
    ///
    /// A failure: somebody else has the name, or the domain cannot be joined.
    pub fn join(&self, program: &str, links: LinkOptions) -> Result<Process, Ending> {
        let implied = || format!("{program}-{}", std::process::id());
        let name = self.name.as_ref().map_or_else(implied, Name::to_string);
        Ok(self.place.open()?.join_with(&name, JoinOptions::new().links(links))?)
    }
}

impl From<DomainError> for Ending {
    fn from(error: DomainError) -> Self {
        match error {
            DomainError::Name(_) => Ending::BadInput(error.to_string()),
            other => Ending::Failure(other.to_string()),
        }
    }
}

impl From<JoinError> for Ending {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::InvalidName(_) => Ending::BadInput(error.to_string()),
            JoinError::Domain(error) => error.into(),
            error => Ending::Failure(error.to_string()),
        }
    }
}
