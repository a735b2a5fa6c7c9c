//! Built-in relations: each is one definition with its columns and where its rows come from.

mod clusters;
mod documented;
mod fill;
mod ingestion;
mod maintenance;
mod mz_dependencies;
mod mz_types;
mod objects;

pub mod information_schema;
pub mod live;
pub mod mz_catalog;
pub mod mz_internal;
pub mod pg_catalog;
pub mod roles;

use tidemill_repr::{ColumnType, ObjectId, Oid, RelationDesc, Row, ScalarType};

use crate::change::CatalogChange;
use crate::item::{Definition, Item, Table, View};
use crate::name::{QualifiedName, quote_identifier};
use crate::snapshot::Catalog;

/// The last column of relations that hold rows of all databases: the database, NULL for what is
/// in every one. A query of a session sees the rows of its database, without this column.
pub const DATABASE_COLUMN: &str = "database_name";

/// A built-in relation.
pub struct Builtin {
    /// The number of its [`ObjectId::System`]; never used for another.
    pub number: u64,
    /// One of the system schemas.
    pub schema: &'static str,
    /// The name.
    pub name: &'static str,
    /// Name and type of each column, separated by commas: `oid oid, relacl text[]?`. A type's
    /// name is that in `pg_type`; `?` says that the column may be NULL.
    pub columns: &'static str,
    /// Where its rows come from.
    pub content: Content,
}

/// Where the rows of a built-in relation come from.
pub enum Content {
    /// From the catalog: what it holds for a snapshot.
    Catalog(fn(&Catalog) -> Vec<Row>),
    /// From each object of the catalog on its own: the rows depend on the object, and on the
    /// schema it is in, alone.
    Items(fn(&Catalog, &Item, &mut Vec<Row>)),
    /// The same rows at all times.
    Constant(fn() -> Vec<Row>),
    /// Rows that are the same at all times, and [`Content::Items`].
    ConstantAndItems(fn() -> Vec<Row>, fn(&Catalog, &Item, &mut Vec<Row>)),
    /// None: the relation is there for clients that ask for what Tidemill does not have.
    Empty,
    /// From reports of the running server.
    Status,
    /// Computed when they are read ([`live`]).
    Live,
    /// From a query.
    View(&'static str),
}

impl Builtin {
    /// Its identity.
    pub fn id(&self) -> ObjectId {
        ObjectId::System(self.number)
    }

    /// Its columns. Where the first is `oid`, it is a key.
    pub fn desc(&self) -> RelationDesc {
        let columns = columns(self.columns).map(|column| {
            let typ = scalar_type(column.typ).unwrap_or(ScalarType::Text);
            (column.name, ColumnType::new(typ).nullable(column.nullable))
        });
        let mut desc = RelationDesc::new(columns);
        let keyed = !matches!(self.content, Content::View(_) | Content::Status | Content::Live);
        if keyed && desc.columns.first().is_some_and(|column| column.name == "oid") {
            desc.keys = vec![vec![0]];
        }
        desc
    }

    /// It as an object. A view has no plan and no dependencies yet.
    pub fn item(&self) -> Item {
        let name = QualifiedName {
            database: None,
            schema: self.schema.to_owned(),
            item: self.name.to_owned(),
        };
        let desc = self.desc();
        let (definition, create_sql) = match &self.content {
            Content::View(sql) => (
                Definition::View(View {
                    desc,
                    query_sql: (*sql).to_owned(),
                    query: None,
                    time_zone: None,
                }),
                format!("CREATE VIEW {name} AS {sql}"),
            ),
            _ => {
                let columns: Vec<String> = desc
                    .columns
                    .iter()
                    .map(|column| {
                        format!("{} {}", quote_identifier(&column.name), column.typ.sql_name())
                    })
                    .collect();
                (
                    Definition::Table(Table::new(desc)),
                    format!("CREATE TABLE {name} ({})", columns.join(", ")),
                )
            }
        };
        Item {
            id: self.id(),
            oid: self.oid(),
            name,
            owner: roles::SYSTEM.to_owned(),
            create_sql,
            depends_on: Vec::new(),
            definition,
        }
    }

    fn oid(&self) -> Oid {
        let known = Some(self.name).filter(|_| self.schema == "pg_catalog");
        known
            .and_then(pg_catalog::class_oid)
            .unwrap_or_else(|| Oid(16_000 + u32::try_from(self.number).unwrap_or(0)))
    }

    /// The rows that go and those that come when the catalog becomes another; None if the
    /// relation does not follow from the catalog. What is in both may be left out.
    pub fn change(&self, old: &Catalog, new: &Catalog) -> Option<(Vec<Row>, Vec<Row>)> {
        // A catalog without schemas is that before the start.
        let first = old.schemas().next().is_none();
        match &self.content {
            Content::Catalog(rows) if first => Some((Vec::new(), rows(new))),
            Content::Catalog(rows) => Some((rows(old), rows(new))),
            Content::Items(rows) => {
                let (mut gone, mut come) = (Vec::new(), Vec::new());
                for item in old.items_not_in(new) {
                    rows(old, item, &mut gone);
                }
                for item in new.items_not_in(old) {
                    rows(new, item, &mut come);
                }
                Some((gone, come))
            }
            Content::ConstantAndItems(constant, rows) => {
                let (mut gone, mut come) = (Vec::new(), Vec::new());
                for item in old.items_not_in(new) {
                    rows(old, item, &mut gone);
                }
                if first {
                    come = constant();
                }
                for item in new.items_not_in(old) {
                    rows(new, item, &mut come);
                }
                Some((gone, come))
            }
            Content::Constant(rows) => first.then(|| (Vec::new(), rows())),
            Content::Empty | Content::Status | Content::Live | Content::View(_) => None,
        }
    }
}

/// A column of [`Builtin::columns`].
struct ColumnText {
    name: &'static str,
    typ: &'static str,
    nullable: bool,
}

fn columns(text: &'static str) -> impl Iterator<Item = ColumnText> {
    text.split(',').map(|column| {
        let (name, typ) = column.trim().split_once(' ').unwrap_or((column, "text"));
        let required = typ.strip_suffix('?');
        ColumnText { name, typ: required.unwrap_or(typ), nullable: required.is_some() }
    })
}

/// The type with a name in `pg_type`, or an array of it (`int2[]`).
fn scalar_type(name: &str) -> Option<ScalarType> {
    match name.strip_suffix("[]") {
        Some(element) => Some(ScalarType::Array(Box::new(scalar_type(element)?))),
        None => ScalarType::ALL.iter().find(|typ| typ.pg_name() == name).cloned(),
    }
}

/// All built-in relations; views after what they read.
pub fn all() -> impl Iterator<Item = &'static Builtin> {
    mz_catalog::RELATIONS
        .iter()
        .chain(mz_internal::RELATIONS)
        .chain(roles::RELATIONS)
        .chain(clusters::RELATIONS)
        .chain(objects::RELATIONS)
        .chain(live::RELATIONS)
        .chain(mz_types::RELATIONS)
        .chain(mz_dependencies::RELATIONS)
        .chain(ingestion::RELATIONS)
        .chain(maintenance::RELATIONS)
        .chain(documented::RELATIONS)
        .chain(pg_catalog::all())
        .chain(information_schema::all())
}

/// The changes that put all built-in relations into an empty catalog.
pub fn changes() -> Vec<CatalogChange> {
    all().map(|builtin| CatalogChange::PutItem(Box::new(builtin.item()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_a_type_that_exists() {
        for builtin in all() {
            for column in columns(builtin.columns) {
                let known = scalar_type(column.typ).is_some();
                assert!(known, "{}.{}: {}", builtin.name, column.name, column.typ);
            }
        }
    }
}
