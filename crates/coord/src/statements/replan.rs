//! Putting plans back: the catalog's durable form is SQL text, so views, materialized views and
//! indexes are planned again when the server starts.

use std::sync::Arc;

use tidemill_catalog::{Catalog, CatalogChange, Item};
use tidemill_repr::{ObjectId, SqlError, SqlState};
use tidemill_sql::SessionView;
use tidemill_sql::rebuild::{Rebuilt, rebuild};

use crate::coordinator::DEFAULT_DATABASE;

/// The same catalog with all plans.
///
/// # Errors
/// A definition cannot be planned any more.
pub(crate) fn replan(mut catalog: Catalog) -> Result<Catalog, SqlError> {
    let mut ids: Vec<ObjectId> = catalog.items().map(|item| item.id).collect();
    ids.sort_unstable();
    for id in ids {
        let Some(item) = catalog.item(id).cloned() else { continue };
        catalog = plan_again(catalog, &item).map_err(|error| {
            SqlError::new(
                SqlState::DATA_CORRUPTED,
                format!(
                    "{} {} cannot be planned any more: {}",
                    item.kind(),
                    item.name,
                    error.message
                ),
            )
        })?;
    }
    Ok(catalog)
}

pub(crate) fn plan_again(catalog: Catalog, item: &Item) -> Result<Catalog, SqlError> {
    let search_path = [item.name.schema.clone()];
    let session = SessionView {
        settings: &(),
        database: item.name.database.as_deref().unwrap_or(DEFAULT_DATABASE),
        search_path: &search_path,
        user: &item.owner,
        session_user: &item.owner,
        // That of texts that do not say in which they were written.
        time_zone: "UTC",
        now: 0,
        cluster: tidemill_catalog::cluster::DEFAULT_CLUSTER,
        backend_pid: 0,
    };
    match rebuild(&catalog, &session, item)? {
        Rebuilt::Nothing => Ok(catalog),
        Rebuilt::Key(key) => Ok(catalog.with_index_key(item.id, key)),
        Rebuilt::Query(query, depends_on, _) => {
            let mut catalog = catalog;
            if item.is_system() {
                // What a built-in view reads is known only now.
                let item = Item { depends_on, ..item.clone() };
                catalog = catalog.apply(&[CatalogChange::PutItem(Box::new(item))])?;
            }
            Ok(catalog.with_plan(item.id, Arc::new(query)))
        }
    }
}
