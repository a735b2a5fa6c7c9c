//! Which of the stream's columns is which, when names change.

use tidemill_repr::{ColumnType, ObjectId, Oid, ScalarType};

use super::*;
use crate::postgres::describe::{ReplicaIdentity, UpstreamTable};
use crate::postgres::source::TableSnapshot;

const TEXT: Oid = Oid(25);

/// A table with these columns upstream, numbered from 1, of which the first `carried` are carried.
fn table(names: &[&str], carried: i16) -> TableConfig {
    let column = |(attnum, name): (i16, &&str)| UpstreamColumn {
        attnum,
        name: (*name).to_owned(),
        type_oid: TEXT,
        typmod: -1,
        type_name: "text".to_owned(),
        type_kind: TypeKind::Base,
        enum_type: None,
        element_oid: None,
        base_type_oid: TEXT,
        base_typmod: -1,
        not_null: false,
        published: true,
    };
    let upstream = UpstreamTable {
        oid: Oid(1),
        schema: "public".to_owned(),
        name: "t".to_owned(),
        replica_identity: ReplicaIdentity::Full,
        columns: (1..).zip(names).map(column).collect(),
        keys: Vec::new(),
        identity: Vec::new(),
        row_filter: None,
        insert_only: false,
        membership: None,
        partitions: Vec::new(),
        odd_partition: None,
        partitioned: false,
        estimated_rows: None,
        schema_usable: true,
        readable: true,
        row_security: false,
    };
    let typ = ColumnType::new(ScalarType::Text);
    let columns = (1..=carried)
        .map(|attnum| IngestColumn { attnum, typ: typ.clone(), as_text: false })
        .collect();
    TableConfig {
        id: ObjectId::User(1),
        upstream,
        columns,
        snapshot: TableSnapshot::Done,
        resyncs: 0,
        from: None,
    }
}

fn relation(names: &[&str]) -> Relation {
    let column = |name: &&str| RelationColumn {
        key: false,
        name: (*name).to_owned(),
        type_oid: TEXT,
        typmod: -1,
    };
    Relation {
        oid: Oid(1),
        schema: "public".to_owned(),
        name: "t".to_owned(),
        replica_identity: b'f',
        columns: names.iter().map(column).collect(),
    }
}

fn catalog(columns: &[(i16, &str)]) -> Vec<Attribute> {
    let attribute = |(attnum, name): &(i16, &str)| Attribute {
        attnum: *attnum,
        name: (*name).to_owned(),
        type_oid: TEXT.0,
        typmod: -1,
    };
    columns.iter().map(attribute).collect()
}

#[test]
fn names_may_change_twice_before_the_stream_is_read() {
    let table = table(&["a", "b"], 2);
    let now = catalog(&[(1, "a"), (2, "b3")]);
    assert_eq!(column_numbers(&table, &relation(&["a", "b2"]), &now).unwrap(), [1, 2]);
    // And columns may come behind.
    let now = catalog(&[(1, "a"), (2, "b3"), (4, "c")]);
    assert_eq!(column_numbers(&table, &relation(&["a", "b2", "x"]), &now).unwrap(), [1, 2, 0]);
}

#[test]
fn names_that_change_hands_do_not_deceive() {
    let table = table(&["a", "b"], 2);
    // What the stream calls a is called c by now, b is called a, and there is another b.
    let now = catalog(&[(1, "c"), (2, "a"), (3, "b")]);
    assert!(column_numbers(&table, &relation(&["a", "b"]), &now).is_err());
    let now = catalog(&[(1, "b"), (2, "a")]);
    assert_eq!(column_numbers(&table, &relation(&["a", "b"]), &now).unwrap(), [1, 2]);
}

#[test]
fn without_a_column_names_must_do() {
    // The second of three columns is not carried, and was dropped.
    let mut table = table(&["a", "b", "c"], 3);
    table.columns.remove(1);
    let now = catalog(&[(1, "a"), (3, "c")]);
    assert_eq!(column_numbers(&table, &relation(&["a", "c"]), &now).unwrap(), [1, 3]);
    assert_eq!(column_numbers(&table, &relation(&["a", "b", "c"]), &now).unwrap(), [1, 2, 3]);
    let renamed = catalog(&[(1, "a"), (3, "d")]);
    assert_eq!(column_numbers(&table, &relation(&["a", "b", "c"]), &renamed).unwrap(), [1, 2, 3]);
}
