//! Clusters and comments in the snapshot.

use std::sync::Arc;

use tidemill_repr::{SqlError, SqlState};

use super::Catalog;
use crate::cluster::Cluster;
use crate::comment::Commented;
use crate::item::Item;
use crate::role::Securable;

impl Catalog {
    /// All clusters by name.
    pub fn clusters(&self) -> impl Iterator<Item = &Arc<Cluster>> {
        self.clusters.values()
    }

    /// The cluster of a name.
    pub fn cluster(&self, name: &str) -> Option<&Arc<Cluster>> {
        self.clusters.get(name)
    }

    /// Whether a cluster of this name is there and has a replica.
    pub fn cluster_runs(&self, name: &str) -> bool {
        self.clusters.get(name).is_some_and(|cluster| cluster.has_replicas())
    }

    /// [`Catalog::cluster`], for a cluster that is named.
    ///
    /// # Errors
    /// There is none (`42704`).
    pub fn require_cluster(&self, name: &str) -> Result<&Arc<Cluster>, SqlError> {
        self.clusters.get(name).ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_OBJECT, format!("unknown cluster '{name}'"))
                .with_hint("SHOW CLUSTERS lists the clusters that exist.")
        })
    }

    /// The objects on a cluster.
    pub fn items_on_cluster<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Arc<Item>> {
        self.items().filter(move |item| item.cluster() == Some(name))
    }

    /// All comments.
    pub fn comments(&self) -> impl Iterator<Item = (&Commented, &String)> {
        self.comments.iter()
    }

    pub(super) fn put_cluster(&mut self, cluster: &Cluster) -> Result<(), SqlError> {
        let same = |other: &&Arc<Cluster>| other.id == cluster.id && other.system == cluster.system;
        if self.clusters.get(&cluster.name).is_some_and(|other| !same(&other)) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_OBJECT,
                format!("cluster \"{}\" already exists", cluster.name),
            ));
        }
        let old = self.clusters.values().find(same).map(|old| old.name.clone());
        let is_new = old.is_none();
        if let Some(old) = old.filter(|old| *old != cluster.name) {
            self.clusters.remove(&old);
            let from = Securable::Cluster(old.clone());
            self.security.rename(&from, Securable::Cluster(cluster.name.clone()));
            if let Some(comment) = self.comments.remove(&Commented::Cluster(old)) {
                self.comments.insert(Commented::Cluster(cluster.name.clone()), comment);
            }
        }
        let numbers = cluster.replicas.iter().map(|replica| replica.id).chain([cluster.id]);
        if !cluster.system {
            self.next_number = self.next_number.max(numbers.max().unwrap_or(0) + 1);
        }
        self.clusters.insert(cluster.name.clone(), Arc::new(cluster.clone()));
        if is_new {
            self.grant_defaults(&Securable::Cluster(cluster.name.clone()));
        }
        Ok(())
    }

    pub(super) fn drop_cluster(&mut self, name: &str) {
        self.clusters.remove(name);
        self.security.forget(&Securable::Cluster(name.to_owned()));
        self.comments.remove(&Commented::Cluster(name.to_owned()));
        self.retain_comments(
            |on| !matches!(on, Commented::ClusterReplica(cluster, _) if cluster == name),
        );
    }

    /// Schemas that get other names keep their comments.
    pub(super) fn move_schema_comments(&mut self, database: &str, names: &[(String, String)]) {
        let on = |name: &String| Commented::Schema(Some(database.to_owned()), name.clone());
        let moved: Vec<(Commented, String)> = names
            .iter()
            .filter_map(|(from, to)| Some((on(to), self.comments.remove(&on(from))?)))
            .collect();
        self.comments.extend(moved);
    }

    pub(super) fn forget_comments(&mut self, item: &Item) {
        if self.comments.is_empty() {
            return;
        }
        self.retain_comments(|on| {
            !matches!(on, Commented::Item(id) | Commented::Column(id, _)
                    | Commented::Constraint(id, _) if *id == item.id)
        });
    }

    fn retain_comments(&mut self, keep: impl Fn(&Commented) -> bool) {
        let gone: Vec<Commented> = self.comments.keys().filter(|on| !keep(on)).cloned().collect();
        for on in &gone {
            self.comments.remove(on);
        }
    }

    /// A column that gets another name keeps its comment; one that goes takes it along.
    pub(super) fn keep_column_comments(&mut self, old: &Item, new: &Item) {
        if self.comments.is_empty() {
            return;
        }
        let (Some(before), Some(after)) = (old.desc(), new.desc()) else { return };
        for (position, column) in before.columns.iter().enumerate() {
            if after.columns.iter().any(|other| other.name == column.name) {
                continue;
            }
            let Some(comment) =
                self.comments.remove(&Commented::Column(old.id, column.name.clone()))
            else {
                continue;
            };
            let renamed = after.columns.get(position);
            if let Some(renamed) = renamed.filter(|_| before.arity() == after.arity()) {
                self.comments.insert(Commented::Column(old.id, renamed.name.clone()), comment);
            }
        }
    }
}
