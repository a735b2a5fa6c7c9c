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
                  replication_factor int8?, disk bool?, availability_zones text[]?, \
                  introspection_debugging bool?, introspection_interval interval?",
        content: Content::Catalog(clusters),
    },
    Builtin {
        number: 130,
        schema: "mz_catalog",
        name: "mz_cluster_replicas",
        columns: "id text, name text, cluster_id text, size text, availability_zone text?, \
                  owner_id text, disk bool?",
        content: Content::Catalog(replicas),
    },
    Builtin {
        number: 131,
        schema: "mz_catalog",
        name: "mz_cluster_replica_sizes",
        columns: "size text, processes uint8, workers uint8, cpu_nano_cores uint8, \
                  memory_bytes uint8?, disk_bytes uint8?, credits_per_hour numeric",
        content: Content::Constant(sizes),
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
            // A replica is threads of the server: it has no disk or place of its own, and
            // nothing is logged of it.
            Datum::Bool(false),
            Datum::Null,
            Datum::Bool(false),
            Datum::Null,
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
            Datum::Null,
            Datum::Text(&catalog.role_id(&cluster.owner)),
            Datum::Bool(false),
        ])
    })
}

fn sizes() -> Vec<Row> {
    SIZES
        .iter()
        .filter_map(|(size, hundredths, workers)| {
            let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            let credits = tidemill_repr::numeric::Numeric::parse(&text).ok()?;
            let workers = u64::try_from(*workers).unwrap_or(u64::MAX);
            Some(Row::pack([
                Datum::Text(size),
                Datum::UInt(1),
                Datum::UInt(workers),
                // A worker is a thread.
                Datum::UInt(workers.saturating_mul(1_000_000_000)),
                // Memory and disk are the process's.
                Datum::Null,
                Datum::Null,
                Datum::Numeric(credits),
            ]))
        })
        .collect()
}
