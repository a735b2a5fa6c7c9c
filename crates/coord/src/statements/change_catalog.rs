//! What runs on clusters that get their first replica or lose their last.

use tidemill_catalog::{Catalog, CatalogChange, Definition, Item};
use tidemill_repr::{ObjectId, SqlError, SqlState};

/// Whether an object is to have a dataflow: its cluster has a replica. The indexes of constraints
/// always have one, because writes ask them.
pub(crate) fn is_maintained(catalog: &Catalog, item: &Item) -> bool {
    match &item.definition {
        Definition::Index(index) => index.unique.is_some() || catalog.cluster_runs(&index.cluster),
        Definition::MaterializedView(materialized) => catalog.cluster_runs(&materialized.cluster),
        _ => false,
    }
}

/// The objects whose dataflows may have to begin with these changes: those that are put, and those
/// on clusters that change, each after what it may read.
pub(crate) fn begun(catalog: &Catalog, changes: &[CatalogChange]) -> Vec<ObjectId> {
    let mut ids = Vec::new();
    for change in changes {
        match change {
            CatalogChange::PutItem(item) => ids.push(item.id),
            CatalogChange::PutCluster(cluster) => {
                let mut on: Vec<ObjectId> =
                    catalog.items_on_cluster(&cluster.name).map(|item| item.id).collect();
                on.sort_unstable();
                ids.extend(on);
            }
            _ => {}
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    ids.retain(|id| {
        let maintained = catalog.item(*id).is_some_and(|item| is_maintained(catalog, item));
        maintained && seen.insert(*id)
    });
    ids
}

/// The objects whose dataflows end with these changes, because their cluster has no replica any
/// more.
pub(crate) fn ended(catalog: &Catalog, changes: &[CatalogChange]) -> Vec<ObjectId> {
    let clusters = changes.iter().filter_map(|change| match change {
        CatalogChange::PutCluster(cluster) => Some(cluster.name.as_str()),
        _ => None,
    });
    clusters
        .flat_map(|name| catalog.items_on_cluster(name))
        .filter(|item| !is_maintained(catalog, item))
        .map(|item| item.id)
        .collect()
}

/// What a query that reads needs: a cluster that is there and has a replica.
///
/// # Errors
/// It has none.
pub(crate) fn check_cluster(catalog: &Catalog, name: &str) -> Result<(), SqlError> {
    if catalog.require_cluster(name)?.has_replicas() {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("CLUSTER \"{name}\" has no replicas available to service request"),
    )
    .with_hint("Use CREATE CLUSTER REPLICA, or ALTER CLUSTER .. SET (REPLICATION FACTOR = 1)."))
}
