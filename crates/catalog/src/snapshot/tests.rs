//! Names, dependants, changes that do not fit, and what is built in.

use tidemill_repr::RelationDesc;

use super::*;
use crate::builtin;
use crate::item::Table;

fn table(number: u64, name: &str, depends_on: Vec<ObjectId>) -> CatalogChange {
    CatalogChange::PutItem(Box::new(Item {
        id: ObjectId::User(number),
        oid: Catalog::oid_for(number),
        name: QualifiedName {
            database: Some("materialize".to_owned()),
            schema: "public".to_owned(),
            item: name.to_owned(),
        },
        owner: "materialize".to_owned(),
        create_sql: String::new(),
        depends_on,
        definition: Definition::Table(Table {
            desc: RelationDesc::default(),
            defaults: Vec::new(),
            source: None,
            generation: Vec::new(),
            constraints: Vec::new(),
            retain_history: None,
        }),
    }))
}

fn start() -> Catalog {
    let mut changes = builtin::changes();
    changes.push(CatalogChange::CreateDatabase {
        id: 1,
        oid: Catalog::oid_for(1),
        name: "materialize".to_owned(),
        owner: "materialize".to_owned(),
    });
    changes.push(CatalogChange::CreateSchema {
        id: 2,
        oid: Catalog::oid_for(2),
        database: "materialize".to_owned(),
        name: "public".to_owned(),
        owner: "materialize".to_owned(),
    });
    Catalog::empty().apply(&changes).unwrap()
}

#[test]
fn names_are_found_along_the_search_path() {
    let catalog = start().apply(&[table(7, "orders", vec![])]).unwrap();
    let path = ["public".to_owned()];
    let find = |parts: &[&str]| {
        let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        catalog.find_item("materialize", &path, &parts).map(|item| item.id)
    };
    assert_eq!(find(&["orders"]), Some(ObjectId::User(7)));
    assert_eq!(find(&["public", "orders"]), Some(ObjectId::User(7)));
    assert_eq!(find(&["materialize", "public", "orders"]), Some(ObjectId::User(7)));
    assert!(find(&["mz_tables"]).is_some());
    assert!(find(&["pg_catalog", "pg_class"]).is_some());
    assert_eq!(find(&["other", "orders"]), None);
    assert_eq!(catalog.next_number(), 8);
}

#[test]
fn dependants_come_before_what_they_depend_on() {
    let on = |number| vec![ObjectId::User(number)];
    let catalog = start()
        .apply(&[table(7, "a", vec![]), table(8, "b", on(7)), table(9, "c", on(8))])
        .unwrap();
    assert_eq!(catalog.dependants(ObjectId::User(7)), [ObjectId::User(9), ObjectId::User(8)]);
}

#[test]
fn a_change_that_does_not_fit_changes_nothing() {
    let catalog = start();
    let error = catalog.apply(&[table(7, "a", vec![]), table(8, "a", vec![])]).unwrap_err();
    assert_eq!(error.message, "relation \"a\" already exists");
    assert!(catalog.item(ObjectId::User(7)).is_none());
}

#[test]
fn every_builtin_has_a_number_and_name_of_its_own() {
    let mut numbers = BTreeSet::new();
    let mut names = BTreeSet::new();
    for builtin in builtin::all() {
        assert!(numbers.insert(builtin.number), "{} is used twice", builtin.number);
        assert!(names.insert((builtin.schema, builtin.name)), "{} is there twice", builtin.name);
        if let Some((_, rows)) = builtin.change(&Catalog::default(), &start()) {
            for row in rows {
                let arity = builtin.desc().arity();
                assert_eq!(row.iter().count(), arity, "{}", builtin.name);
            }
        }
    }
}
