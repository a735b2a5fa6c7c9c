//! `mz_catalog`, `mz_internal`: clusters and their replicas.

use tidemill_repr::{Datum, Row};

use super::{Builtin, Content};
use crate::cluster::{Cluster, ClusterReplica, SIZES};
use crate::role::Securable;
use crate::snapshot::Catalog;

/// The relations.
pub(super) const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 111,
        schema: "mz_catalog",
        name: "mz_clusters",
        columns: "id text, name text, owner_id text, privileges text[], managed bool, size text?, \
                  replication_factor int8?",
        content: Content::Catalog(clusters),
    },
    Builtin {
        number: 130,
        schema: "mz_catalog",
        name: "mz_cluster_replicas",
        columns: "id text, name text, cluster_id text, size text, owner_id text",
        content: Content::Catalog(replicas),
    },
    Builtin {
        number: 131,
        schema: "mz_catalog",
        name: "mz_cluster_replica_sizes",
        columns: "size text, processes int8, workers int8, credits_per_hour numeric",
        content: Content::Constant(sizes),
    },
    Builtin {
        number: 260,
        schema: "mz_internal",
        name: "mz_cluster_replica_statuses",
        columns: "replica_id text, process_id int8, status text, reason text?",
        content: Content::Catalog(statuses),
    },
];

fn clusters(catalog: &Catalog) -> Vec<Row> {
    let row = |cluster: &Cluster| {
        let size = cluster.managed_size.as_deref();
        let replicas = i64::try_from(cluster.replicas.len()).unwrap_or(i64::MAX);
        let (id, owner) = (cluster.id_text(), catalog.role_id(&cluster.owner));
        let acl = super::roles::privileges(catalog, &Securable::Cluster(cluster.name.clone()));
        let first = [Datum::Text(&id), Datum::Text(&cluster.name), Datum::Text(&owner)];
        let last = [
            Datum::Bool(size.is_some()),
            size.map_or(Datum::Null, Datum::Text),
            size.map_or(Datum::Null, |_| Datum::Int(replicas)),
        ];
        Row::pack(first.into_iter().chain(acl.iter()).chain(last))
    };
    catalog.clusters().map(|cluster| row(cluster)).collect()
}

fn each_replica(
    catalog: &Catalog,
    row: impl Fn(&Cluster, &ClusterReplica, &str) -> Row,
) -> Vec<Row> {
    let row = &row;
    let of = |cluster: &'_ Cluster| -> Vec<Row> {
        let scope = if cluster.system { 's' } else { 'u' };
        let rows = cluster.replicas.iter();
        rows.map(|replica| row(cluster, replica, &format!("{scope}{}", replica.id))).collect()
    };
    catalog.clusters().flat_map(|cluster| of(cluster)).collect()
}

fn replicas(catalog: &Catalog) -> Vec<Row> {
    each_replica(catalog, |cluster, replica, id| {
        Row::pack([
            Datum::Text(id),
            Datum::Text(&replica.name),
            Datum::Text(&cluster.id_text()),
            Datum::Text(&replica.size),
            Datum::Text(&catalog.role_id(&cluster.owner)),
        ])
    })
}

/// A replica is a part of this process: where it is, it is there.
fn statuses(catalog: &Catalog) -> Vec<Row> {
    each_replica(catalog, |_, _, id| {
        Row::pack([Datum::Text(id), Datum::Int(0), Datum::Text("online"), Datum::Null])
    })
}

fn sizes() -> Vec<Row> {
    SIZES
        .iter()
        .filter_map(|(size, hundredths, workers)| {
            let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            let credits = tidemill_repr::numeric::Numeric::parse(&text).ok()?;
            let workers = i64::try_from(*workers).unwrap_or(i64::MAX);
            let texts = [Datum::Text(size), Datum::Int(1), Datum::Int(workers)];
            Some(Row::pack(texts.into_iter().chain([Datum::Numeric(credits)])))
        })
        .collect()
}
