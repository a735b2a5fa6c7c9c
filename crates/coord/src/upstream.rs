//! Upstream tables as the catalog keeps them, and as sources see them.

use tidemill_catalog as catalog;
use tidemill_ingest::postgres::{
    ReplicaIdentity, TypeKind, UpstreamColumn, UpstreamEnum, UpstreamKey, UpstreamTable,
};
use tidemill_repr::Oid;

/// For the catalog. Columns that are not published are left out.
pub fn to_catalog(table: &UpstreamTable) -> catalog::UpstreamTable {
    let primary_key = table.keys.iter().find(|key| key.primary);
    catalog::UpstreamTable {
        oid: table.oid.0,
        schema: table.schema.clone(),
        name: table.name.clone(),
        replica_identity: match table.replica_identity {
            ReplicaIdentity::Default => 'd',
            ReplicaIdentity::Nothing => 'n',
            ReplicaIdentity::Full => 'f',
            ReplicaIdentity::Index => 'i',
        },
        columns: table
            .columns
            .iter()
            .filter(|column| column.published)
            .map(|column| catalog::UpstreamColumn {
                attnum: column.attnum,
                name: column.name.clone(),
                type_oid: column.base_type_oid.0,
                type_name: column.type_name.clone(),
                typmod: column.base_typmod,
                declared: Some((column.type_oid.0, column.typmod)),
                is_enum: column.type_kind == TypeKind::Enum,
                enum_type: column.enum_type.as_ref().map(|found| catalog::UpstreamEnum {
                    name: found.name.clone(),
                    labels: found.labels.clone(),
                }),
                element_oid: column.element_oid.map(|oid| oid.0),
                not_null: column.not_null,
            })
            .collect(),
        row_filter: table.row_filter.clone(),
        identity: table.identity.clone(),
        insert_only: table.insert_only,
        membership: table.membership.clone(),
        partitioned: table.partitioned,
        partitions: table.partitions.clone(),
        primary_key: primary_key.map(|key| key.attnums.clone()).unwrap_or_default(),
    }
}

/// For a source task.
pub fn to_ingest(table: &catalog::UpstreamTable) -> UpstreamTable {
    let key =
        UpstreamKey { name: String::new(), primary: true, attnums: table.primary_key.clone() };
    UpstreamTable {
        oid: Oid(table.oid),
        schema: table.schema.clone(),
        name: table.name.clone(),
        replica_identity: match table.replica_identity {
            'd' => ReplicaIdentity::Default,
            'n' => ReplicaIdentity::Nothing,
            'i' => ReplicaIdentity::Index,
            _ => ReplicaIdentity::Full,
        },
        columns: table
            .columns
            .iter()
            .map(|column| {
                let (type_oid, typmod) =
                    column.declared.unwrap_or((column.type_oid, column.typmod));
                UpstreamColumn {
                    attnum: column.attnum,
                    name: column.name.clone(),
                    type_oid: Oid(type_oid),
                    typmod,
                    type_name: column.type_name.clone(),
                    type_kind: if column.is_enum { TypeKind::Enum } else { TypeKind::Base },
                    enum_type: column.enum_type.as_ref().map(|found| UpstreamEnum {
                        name: found.name.clone(),
                        labels: found.labels.clone(),
                    }),
                    element_oid: column.element_oid.map(Oid),
                    base_type_oid: Oid(column.type_oid),
                    base_typmod: column.typmod,
                    not_null: column.not_null,
                    published: true,
                }
            })
            .collect(),
        keys: if table.primary_key.is_empty() { Vec::new() } else { vec![key] },
        identity: table.identity.clone(),
        row_filter: table.row_filter.clone(),
        insert_only: table.insert_only,
        membership: table.membership.clone(),
        partitions: table.partitions.clone(),
        odd_partition: None,
        partitioned: table.partitioned,
        schema_usable: true,
        readable: true,
        row_security: false,
        estimated_rows: None,
    }
}
