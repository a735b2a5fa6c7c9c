//! The errors of what is not allowed.

use tidemill_catalog::Catalog;
use tidemill_catalog::role::{Privilege, Securable, SecurableKind};
use tidemill_repr::{SqlError, SqlState};

/// The name of something, without that of what it is in.
pub(in crate::statements) fn last_name(catalog: &Catalog, on: &Securable) -> String {
    match on {
        Securable::Item(id) => {
            catalog.item(*id).map_or_else(String::new, |item| item.name.item.clone())
        }
        Securable::Schema(_, name) | Securable::Database(name) | Securable::Cluster(name) => {
            name.clone()
        }
        Securable::System => "SYSTEM".to_owned(),
    }
}

fn kind(catalog: &Catalog, on: &Securable) -> String {
    match on {
        Securable::Item(id) => {
            catalog.item(*id).map_or_else(|| "object".to_owned(), |item| item.kind().to_string())
        }
        _ => catalog.securable_kind(on).word().to_owned(),
    }
}

/// `table t`
pub(in crate::statements) fn shown(catalog: &Catalog, on: &Securable) -> String {
    format!("{} {}", kind(catalog, on), last_name(catalog, on))
}

/// A role lacks a privilege.
pub(crate) fn privilege(
    catalog: &Catalog,
    role: &str,
    on: &Securable,
    privilege: Privilege,
) -> SqlError {
    let what = match catalog.securable_kind(on) {
        SecurableKind::System => "SYSTEM".to_owned(),
        _ => format!("{} \"{}\"", kind(catalog, on), last_name(catalog, on)),
    };
    SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied for {what}"))
        .with_detail(format!(
            "The role \"{role}\" needs the privilege {} on {what}.",
            privilege.word()
        ))
}

/// A role does not own something.
pub(in crate::statements) fn not_owner(catalog: &Catalog, on: &Securable) -> SqlError {
    SqlError::new(
        SqlState::INSUFFICIENT_PRIVILEGE,
        format!("must be owner of {}", shown(catalog, on)),
    )
}
