//! Where domains lie: which directory that is, and whether it can be trusted.

use super::finding::Finding;
use postbox::{Domain, DomainError};
use postbox_sys::Errno;
use std::env;
use std::path::PathBuf;

/// The directory in which domains lie, and what there is to say about it.
pub fn directory() -> (Option<PathBuf>, Finding) {
    let check = "POSTBOX_DIR";
    let origin = if env::var_os("POSTBOX_DIR").is_some_and(|path| !path.is_empty()) {
        "set"
    } else {
        "not set: the usual place"
    };
    // Nobody can tell without trying: a domain that is made, and gone again with this value.
    match Domain::open(&format!("doctor-{}", std::process::id())) {
        Ok(domain) => {
            let base = domain.path().parent().map(PathBuf::from);
            let value = base.as_ref().map_or(String::new(), |base| base.display().to_string());
            let meaning = format!("where domains lie ({origin}); nobody else can meddle with it");
            (base, Finding::ok(check, value, meaning))
        }
        Err(error) => {
            let value = env::var(check).unwrap_or_default();
            let finding = Finding::ok(check, value, &error);
            let finding = if is_the_choice(&error) {
                finding.problem("set POSTBOX_DIR to a directory that only you can write to")
            } else {
                finding.failure()
            };
            (None, finding)
        }
    }
}

/// Whether the directory is at fault rather than what it lies on, or this process. Those errors say
/// themselves what to do.
fn is_the_choice(error: &DomainError) -> bool {
    match error {
        DomainError::Unsafe { .. } => true,
        DomainError::System { errno, .. } => {
            matches!(errno, Errno::EACCES | Errno::EPERM | Errno::ENOTDIR | Errno::ELOOP)
        }
        _ => false,
    }
}
