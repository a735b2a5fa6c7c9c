//! Built-in relations: each is one definition with its columns and where its rows come from.

pub mod mz_catalog;
pub mod mz_internal;
pub mod pg_catalog;

use tidemill_repr::{ColumnType, ObjectId, Oid, RelationDesc, Row, ScalarType};

use crate::change::CatalogChange;
use crate::item::{Definition, Item, Table, View};
use crate::name::{QualifiedName, quote_identifier};
use crate::snapshot::Catalog;

/// A built-in relation.
pub struct Builtin {
    /// The number of its [`ObjectId::System`]; never used for another.
    pub number: u64,
    /// One of the system schemas.
    pub schema: &'static str,
    /// The name.
    pub name: &'static str,
    /// Name, type and nullability of each column.
    pub columns: &'static [(&'static str, ScalarType, bool)],
    /// Where its rows come from.
    pub content: Content,
}

/// Where the rows of a built-in relation come from.
pub enum Content {
    /// From the catalog: what it holds for a snapshot.
    Catalog(fn(&Catalog) -> Vec<Row>),
    /// From reports of the running server.
    Status,
    /// From a query.
    View(&'static str),
}

impl Builtin {
    /// Its identity.
    pub fn id(&self) -> ObjectId {
        ObjectId::System(self.number)
    }

    /// Its columns.
    pub fn desc(&self) -> RelationDesc {
        RelationDesc::new(
            self.columns.iter().map(|(name, typ, nullable)| {
                (*name, ColumnType::new(typ.clone()).nullable(*nullable))
            }),
        )
    }

    /// It as an object. A view has no plan and no dependencies yet.
    pub fn item(&self) -> Item {
        let name = QualifiedName {
            database: None,
            schema: self.schema.to_owned(),
            item: self.name.to_owned(),
        };
        let (definition, create_sql) = match &self.content {
            Content::View(sql) => (
                Definition::View(View {
                    desc: self.desc(),
                    query_sql: (*sql).to_owned(),
                    query: None,
                }),
                format!("CREATE VIEW {name} AS {sql}"),
            ),
            _ => {
                let columns: Vec<String> = self
                    .columns
                    .iter()
                    .map(|(name, typ, _)| format!("{} {typ}", quote_identifier(name)))
                    .collect();
                let desc = self.desc();
                let defaults = vec![None; desc.arity()];
                (
                    Definition::Table(Table { desc, defaults, source: None }),
                    format!("CREATE TABLE {name} ({})", columns.join(", ")),
                )
            }
        };
        Item {
            id: self.id(),
            oid: Oid(16_000 + u32::try_from(self.number).unwrap_or(0)),
            name,
            owner: "mz_system".to_owned(),
            create_sql,
            depends_on: Vec::new(),
            definition,
        }
    }
}

/// All built-in relations; views after what they read.
pub fn all() -> impl Iterator<Item = &'static Builtin> {
    mz_catalog::RELATIONS.iter().chain(mz_internal::RELATIONS).chain(pg_catalog::RELATIONS)
}

/// The changes that put all built-in relations into an empty catalog.
pub fn changes() -> Vec<CatalogChange> {
    all().map(|builtin| CatalogChange::PutItem(Box::new(builtin.item()))).collect()
}
