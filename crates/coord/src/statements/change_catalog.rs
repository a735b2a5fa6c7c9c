//! What runs on clusters that get their first replica or lose their last.

use std::collections::BTreeSet;

use tidemill_catalog::{Catalog, CatalogChange, Definition, Item};
use tidemill_repr::{ObjectId, SqlError, SqlState};

use crate::replicas::PoolId;

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
    let mut seen = BTreeSet::new();
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

/// The objects whose dataflows compute something else, or somewhere else, after these changes.
pub(crate) fn changed(
    old: &Catalog,
    new: &Catalog,
    changes: &[CatalogChange],
) -> BTreeSet<ObjectId> {
    let query = |item: &Item| match &item.definition {
        Definition::MaterializedView(materialized) => Some(materialized.view.query_sql.clone()),
        _ => None,
    };
    let is_changed = |id: ObjectId| {
        let (Some(before), Some(after)) = (old.item(id), new.item(id)) else { return false };
        is_maintained(old, before)
            && (PoolId::of_object(old, id) != PoolId::of_object(new, id)
                || (query(before) != query(after) && is_replaced(old, changes, id)))
    };
    let put = changes.iter().filter_map(|change| match change {
        CatalogChange::PutItem(item) => Some(item.id),
        _ => None,
    });
    put.filter(|id| is_changed(*id)).collect()
}

/// Whether a materialized view takes over the query of its replacement with these changes. (Where
/// only names changed, the text is another, and the query the same.)
fn is_replaced(old: &Catalog, changes: &[CatalogChange], id: ObjectId) -> bool {
    let replaces = |dropped: ObjectId| match old.item(dropped).map(|item| &item.definition) {
        Some(Definition::MaterializedView(view)) => view.replacement_for == Some(id),
        _ => false,
    };
    changes.iter().any(|change| matches!(change, CatalogChange::DropItem(id) if replaces(*id)))
}

/// These objects, each after those of them that it reads.
pub(crate) fn in_order(catalog: &Catalog, ids: &BTreeSet<ObjectId>) -> Vec<ObjectId> {
    let mut ordered = Vec::new();
    let mut seen = BTreeSet::new();
    // (object, whether what it reads was looked at)
    let mut todo: Vec<(ObjectId, bool)> = ids.iter().rev().map(|id| (*id, false)).collect();
    while let Some((id, expanded)) = todo.pop() {
        if expanded {
            if ids.contains(&id) {
                ordered.push(id);
            }
            continue;
        }
        if !seen.insert(id) {
            continue;
        }
        todo.push((id, true));
        let reads = catalog.item(id).map(|item| item.depends_on.clone()).unwrap_or_default();
        todo.extend(reads.into_iter().rev().map(|id| (id, false)));
    }
    ordered
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
