//! Tests of what is created of upstream tables.

use super::*;
use crate::plan::SourceConnection;

fn table(oid: u32, schema: &str, name: &str, columns: &[(&str, u32)]) -> UpstreamTable {
    UpstreamTable {
        oid,
        schema: schema.to_owned(),
        name: name.to_owned(),
        replica_identity: 'f',
        columns: columns
            .iter()
            .zip(1..)
            .map(|((name, type_oid), attnum)| UpstreamColumn {
                attnum,
                name: (*name).to_owned(),
                type_oid: *type_oid,
                type_name: format!("type {type_oid}"),
                typmod: -1,
                declared: None,
                is_enum: false,
                enum_type: None,
                element_oid: None,
                not_null: attnum == 1,
            })
            .collect(),
        row_filter: None,
        identity: Vec::new(),
        insert_only: false,
        membership: None,
        partitioned: false,
        partitions: Vec::new(),
        primary_key: vec![1],
    }
}

fn name(item: &str) -> QualifiedName {
    QualifiedName {
        database: Some("materialize".to_owned()),
        schema: "public".to_owned(),
        item: item.to_owned(),
    }
}

fn plan(tables: TablesWanted, text: &[&str], exclude: &[&str]) -> CreateSourcePlan {
    let columns = |names: &[&str]| {
        names.iter().map(|name| name.split('.').map(str::to_owned).collect()).collect()
    };
    CreateSourcePlan {
        name: name("s"),
        create_sql: String::new(),
        connection: SourceConnection::Existing(ObjectId::User(1)),
        progress: None,
        publication: "p".to_owned(),
        cluster: "quickstart".to_owned(),
        tables,
        text_columns: columns(text),
        exclude_columns: columns(exclude),
    }
}

fn run(
    plan: &CreateSourcePlan,
    tables: &[UpstreamTable],
) -> Result<Vec<NewItem>, (&'static str, String)> {
    let upstream = Upstream { publication: "p", tables };
    subsources(&Catalog::empty(), plan, ObjectId::User(9), &upstream)
        .map_err(|error| (error.code.0, error.message))
}

fn refused(plan: &CreateSourcePlan, tables: &[UpstreamTable]) -> String {
    run(plan, tables).map(|items| items.len()).unwrap_err().1
}

#[test]
fn tables_are_made_as_they_are_upstream() {
    let tables = [table(7, "Shop", "Orders", &[("id", 20), ("note", 25), ("at", 603)])];
    let items = run(&plan(TablesWanted::All, &["Orders.at"], &["Shop.Orders.note"]), &tables);
    let items = items.unwrap();
    assert_eq!(
        items[0].create_sql,
        "CREATE TABLE materialize.public.\"Orders\" FROM SOURCE materialize.public.s \
         (REFERENCE = \"Shop\".\"Orders\") WITH (TEXT COLUMNS (at), EXCLUDE COLUMNS (note))"
    );
    let Definition::Table(made) = &items[0].definition else { panic!() };
    let shown: Vec<_> = made
        .desc
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.typ.sql_name(), column.typ.nullable))
        .collect();
    assert_eq!(shown, [("id", "bigint".to_owned(), false), ("at", "text".to_owned(), true)]);
    assert_eq!(made.desc.keys, [vec![0]]);
    let source = made.source.as_ref().unwrap();
    assert_eq!((source.columns.as_slice(), source.subsource), (&[1, 3][..], true));
    assert!(crate::parse(&items[0].create_sql).is_ok());
}

#[test]
fn what_is_wrong_is_found() {
    let one = [table(1, "a", "t", &[("id", 23)])];
    let two = [table(1, "a", "t", &[("id", 23)]), table(2, "b", "t", &[("id", 23)])];
    let named = |names: &[&str]| {
        TablesWanted::Tables(
            names.iter().map(|name| (name.split('.').map(str::to_owned).collect(), None)).collect(),
        )
    };
    let all = || plan(TablesWanted::All, &[], &[]);
    assert_eq!(refused(&all(), &[]), "publication \"p\" has no tables");
    assert_eq!(refused(&all(), &two), "two upstream tables would get the name \"t\"");
    assert_eq!(refused(&plan(named(&["t"]), &[], &[]), &two), "table name \"t\" is ambiguous");
    assert_eq!(
        refused(&plan(named(&["x"]), &[], &[]), &one),
        "table \"x\" is not in publication \"p\""
    );
    assert_eq!(
        refused(&plan(named(&["t", "a.t"]), &[], &[]), &one),
        "table a.t is named more than once"
    );
    assert!(run(&plan(named(&["a.t"]), &[], &[]), &two).is_ok());
    assert_eq!(
        refused(&plan(TablesWanted::Schemas(vec!["x".to_owned()]), &[], &[]), &one),
        "publication \"p\" has no table in schema \"x\""
    );
    assert_eq!(
        refused(&plan(TablesWanted::All, &["t.no"], &[]), &one),
        "option TEXT COLUMNS names column \"no\", which a.t has not"
    );
    assert_eq!(
        refused(&plan(TablesWanted::All, &[], &["t.id", "a.t.id"]), &one),
        "option EXCLUDE COLUMNS names column \"id\" of a.t twice"
    );
    assert_eq!(
        refused(&plan(TablesWanted::All, &["t.id"], &["t.id"]), &one),
        "column \"id\" of a.t is in both TEXT COLUMNS and EXCLUDE COLUMNS"
    );
    let odd = [table(1, "a", "t", &[("id", 23), ("p", 600)])];
    assert_eq!(refused(&all(), &odd), "column a.t.p has type type 600, which is not supported");
    assert!(run(&plan(TablesWanted::All, &[], &["t.p"]), &odd).is_ok());
}
