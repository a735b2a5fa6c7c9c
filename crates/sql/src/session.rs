//! What planning may know of a session.

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlparser::ast::DataType;
use tidemill_catalog::builtin::DATABASE_COLUMN;
use tidemill_catalog::registered::Names;
use tidemill_catalog::snapshot::SYSTEM_SCHEMAS;
use tidemill_catalog::{Catalog, Definition, DomainRules, Item};
use tidemill_repr::text::TextSettings;
use tidemill_repr::{ColumnType, DomainType, Oid, ScalarType, SqlError};

use crate::query::{QueryContext, Relation, Relations, Visibility};

/// The settings of a session, as `SHOW` gives them.
pub trait SettingValues {
    /// The value of a setting, if there is one of this name.
    fn setting(&self, name: &str) -> Option<String>;
}

/// What is asked as a setting for the time when the server started: microseconds since 2000.
pub const STARTED_AT: &str = "\0started at";
/// The server's end of the connection, `address:port`.
pub const SERVER_ADDRESS: &str = "\0server address";

/// No settings, for those who plan what must not depend on them.
impl SettingValues for () {
    fn setting(&self, _name: &str) -> Option<String> {
        None
    }
}

/// What planning may know of a session.
#[derive(Clone, Copy)]
pub struct SessionView<'a> {
    /// `current_setting(..)`
    pub settings: &'a dyn SettingValues,
    /// `current_database()`
    pub database: &'a str,
    /// `search_path`, in order.
    pub search_path: &'a [String],
    /// `current_user`
    pub user: &'a str,
    /// `session_user`
    pub session_user: &'a str,
    /// `timezone` and what else says how values are read and shown, as
    /// [`TextSettings::to_argument`] writes it.
    pub time_zone: &'a str,
    /// `now()`: microseconds since 2000-01-01 00:00 UTC.
    pub now: i64,
    /// `cluster`
    pub cluster: &'a str,
    /// `pg_backend_pid()`
    pub backend_pid: i32,
}

/// A catalog snapshot as one session sees it.
#[derive(Clone, Copy)]
pub struct Planner<'a> {
    /// The snapshot.
    pub catalog: &'a Catalog,
    /// The session.
    pub session: &'a SessionView<'a>,
}

impl Relations for Planner<'_> {
    fn relation(&self, parts: &[String]) -> Result<Relation, SqlError> {
        let item = self.catalog.resolve_relation(
            self.session.database,
            self.session.search_path,
            parts,
        )?;
        let desc = item.desc().cloned().unwrap_or_default();
        let last = desc.columns.last().map(|column| column.name.as_str());
        let of_all_databases = item.is_system() && last == Some(DATABASE_COLUMN);
        Ok(Relation {
            id: item.id,
            oid: item.oid,
            schema: item.name.schema.clone(),
            name: item.name.item.clone(),
            desc,
            primary_key: item
                .table()
                .and_then(|table| table.primary_key())
                .map_or_else(Vec::new, <[usize]>::to_vec),
            of_all_databases,
        })
    }

    fn oid(&self, parts: &[String]) -> Result<Oid, SqlError> {
        let session = self.session;
        let item = self.catalog.resolve_item(session.database, session.search_path, parts)?;
        Ok(item.oid)
    }

    fn created_type(&self, parts: &[String]) -> Option<ScalarType> {
        let session = self.session;
        self.catalog.find_type(session.database, session.search_path, parts)?.type_of()
    }

    fn domain_rules(&self, domain: &DomainType) -> Option<&DomainRules> {
        match &self.catalog.item_by_oid(domain.name.oid)?.definition {
            Definition::Type(created) => Some(&created.rules),
            _ => None,
        }
    }

    fn functions(&self, parts: &[String]) -> Vec<Arc<Item>> {
        let (database, path) = (self.session.database, self.session.search_path);
        self.catalog.find_functions(database, path, parts).into_iter().cloned().collect()
    }

    fn visibility(&self) -> Visibility {
        let (database, path) = (self.session.database, self.session.search_path);
        let mut found = Visibility::default();
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for name in self.catalog.lookup_path(path) {
            let Some(schema) = self.catalog.schema(database, name) else { continue };
            if found.schemas.contains(&schema.oid.0) {
                continue;
            }
            // Found, but not listed: lists of what is visible are about the user's objects, and
            // clients leave out pg_catalog by name only.
            if name != "mz_catalog" || path.iter().any(|named| named == name) {
                found.schemas.push(schema.oid.0);
            }
            let inside = if SYSTEM_SCHEMAS.contains(&name) { None } else { Some(database) };
            for item in self.catalog.items_in_schema(inside, name) {
                if item.function().is_none() && !names.insert(&item.name.item) {
                    found.hidden.push(item.oid.0);
                }
            }
        }
        found
    }

    fn catalog(&self) -> Option<&Catalog> {
        Some(self.catalog)
    }

    fn setting(&self, name: &str) -> Option<String> {
        self.session.settings.setting(name)
    }

    fn names(&self) -> Option<Names<'_>> {
        Some(Names {
            catalog: self.catalog,
            database: self.session.database,
            search_path: self.session.search_path,
        })
    }

    fn schema(&self, name: &str) -> Option<Oid> {
        Some(self.catalog.schema(self.session.database, name)?.oid)
    }

    fn has_schema(&self, name: &str) -> bool {
        SYSTEM_SCHEMAS.contains(&name) || self.catalog.schema(self.session.database, name).is_some()
    }
}

impl Planner<'_> {
    /// The type that a name means.
    ///
    /// # Errors
    /// There is none, or its modifier is wrong.
    pub fn data_type(&self, data_type: &DataType) -> Result<ColumnType, SqlError> {
        crate::types::resolve_data_type(&|parts| self.created_type(parts), data_type)
    }

    /// The context of a query of this session; `parameters` as far as their types are known.
    pub fn query_context<'b>(
        &'b self,
        text: &'b str,
        parameters: &[Option<ScalarType>],
    ) -> QueryContext<'b> {
        let session = self.session;
        let mut context = QueryContext::new(self, text);
        context.database = session.database.to_owned();
        context.search_path = session
            .search_path
            .iter()
            .filter(|schema| self.catalog.schema(session.database, schema).is_some())
            .cloned()
            .collect();
        context.user = session.user.to_owned();
        context.session_user = session.session_user.to_owned();
        context.settings = TextSettings::from_argument(session.time_zone);
        context.settings.now = Some(session.now);
        context.time_zone.clone_from(&context.settings.time_zone);
        context.now = session.now;
        context.backend_pid = session.backend_pid;
        context.parameters.replace(parameters.to_vec());
        context
    }

    /// The context of a query that is maintained: it knows nothing of the session.
    pub fn maintained_context<'b>(&'b self, text: &'b str) -> QueryContext<'b> {
        let mut context = self.query_context(text, &[]);
        context.maintained = true;
        // Only the time zone is kept with what is defined.
        context.settings = TextSettings::in_zone(&context.time_zone);
        context
    }
}
