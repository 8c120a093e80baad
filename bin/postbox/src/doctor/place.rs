//! Where domains lie: which directory that is, and whether it can be trusted.

use super::finding::Finding;
use postbox::Domain;
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
            let finding = Finding::ok(check, value, error);
            (None, finding.problem("set POSTBOX_DIR to a directory that only you can write to"))
        }
    }
}
