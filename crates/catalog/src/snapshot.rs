//! The snapshot: all objects by identity and by name.

mod security;

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::OrdMap;
use tidemill_expr::ScalarExpr;
use tidemill_plan::QueryExpr;
use tidemill_repr::{ObjectId, Oid, ScalarType, SqlError, SqlState};

use crate::change::{CatalogChange, OrphanedSlot};
use crate::cluster::{Cluster, first_clusters};
use crate::comment::Commented;
use crate::item::{Definition, Item, ItemKind};
use crate::name::QualifiedName;
use crate::role::Securable;

/// The schemas that are in every database, in the order names are looked up in them.
pub const SYSTEM_SCHEMAS: &[&str] =
    &["pg_catalog", "mz_catalog", "mz_internal", "information_schema"];

/// The schema of the objects that only one session has. It is looked through first.
pub const TEMPORARY_SCHEMA: &str = "pg_temp";

/// Those of [`SYSTEM_SCHEMAS`] whose objects are found without naming the schema.
const IMPLICIT_SCHEMAS: &[&str] = &["pg_catalog", "mz_catalog"];

/// A database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Identity.
    pub id: u64,
    /// For `pg_database`.
    pub oid: Oid,
    /// The role that owns it.
    pub owner: String,
}

/// A schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Identity.
    pub id: u64,
    /// For `pg_namespace`.
    pub oid: Oid,
    /// The role that owns it.
    pub owner: String,
}

/// All objects at one moment. Cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    items: OrdMap<ObjectId, Arc<Item>>,
    names: OrdMap<QualifiedName, ObjectId>,
    /// Functions of each name: they have names of their own, and share them.
    functions: OrdMap<QualifiedName, BTreeSet<ObjectId>>,
    databases: OrdMap<String, Database>,
    schemas: OrdMap<(Option<String>, String), Schema>,
    orphaned_slots: OrdMap<String, OrphanedSlot>,
    clusters: OrdMap<String, Arc<Cluster>>,
    comments: OrdMap<Commented, String>,
    /// Which objects depend directly on an object.
    dependants: OrdMap<ObjectId, BTreeSet<ObjectId>>,
    /// The next number no user object, database or schema has had.
    next_number: u64,
    security: security::Security,
}

/// Oids below are PostgreSQL's own.
const FIRST_OID: u32 = 20_000;

impl Catalog {
    /// A catalog with the system schemas and nothing in them.
    pub fn empty() -> Catalog {
        let security = security::Security::builtin();
        let mut catalog = Catalog { next_number: 1, security, ..Catalog::default() };
        let oids = [11, 19_001, 19_002, 19_003];
        for ((name, oid), id) in SYSTEM_SCHEMAS.iter().zip(oids).zip(1..) {
            let schema = Schema { id, oid: Oid(oid), owner: "mz_system".to_owned() };
            catalog.schemas.insert((None, (*name).to_owned()), schema);
        }
        for cluster in first_clusters() {
            catalog.clusters.insert(cluster.name.clone(), Arc::new(cluster));
        }
        catalog
    }

    /// Applies changes one after the other.
    ///
    /// # Errors
    /// A change does not fit the catalog; nothing is applied then.
    pub fn apply(&self, changes: &[CatalogChange]) -> Result<Catalog, SqlError> {
        let mut next = self.clone();
        for change in changes {
            next.apply_one(change)?;
        }
        Ok(next)
    }

    fn apply_one(&mut self, change: &CatalogChange) -> Result<(), SqlError> {
        match change {
            CatalogChange::CreateDatabase { id, oid, name, owner } => {
                if self.databases.contains_key(name) {
                    return Err(SqlError::new(
                        SqlState::DUPLICATE_DATABASE,
                        format!("database \"{name}\" already exists"),
                    ));
                }
                let database = Database { id: *id, oid: *oid, owner: owner.clone() };
                self.databases.insert(name.clone(), database);
                self.next_number = self.next_number.max(id + 1);
                self.grant_defaults(&Securable::Database(name.clone()));
            }
            CatalogChange::CreateSchema { id, oid, database, name, owner } => {
                let key = (Some(database.clone()), name.clone());
                if self.schemas.contains_key(&key) || SYSTEM_SCHEMAS.contains(&name.as_str()) {
                    return Err(SqlError::new(
                        SqlState::DUPLICATE_SCHEMA,
                        format!("schema \"{name}\" already exists"),
                    ));
                }
                let on = Securable::Schema(key.0.clone(), key.1.clone());
                self.schemas.insert(key, Schema { id: *id, oid: *oid, owner: owner.clone() });
                self.next_number = self.next_number.max(id + 1);
                self.grant_defaults(&on);
            }
            CatalogChange::PutItem(item) => self.put_item(Arc::new((**item).clone()))?,
            CatalogChange::DropItem(id) => self.drop_item(*id)?,
            CatalogChange::DropSchema { database, name } => {
                self.schemas.remove(&(Some(database.clone()), name.clone()));
                self.security.forget(&Securable::Schema(Some(database.clone()), name.clone()));
                self.comments.remove(&Commented::Schema(Some(database.clone()), name.clone()));
            }
            CatalogChange::RenameSchemas { database, names, items } => {
                self.rename_schemas(database, names, items)?;
            }
            CatalogChange::PutOrphanedSlot(slot) => {
                self.orphaned_slots.insert(slot.slot.clone(), slot.clone());
            }
            CatalogChange::DropOrphanedSlot(slot) => {
                self.orphaned_slots.remove(slot);
            }
            CatalogChange::DropDatabase { name } => {
                self.databases.remove(name);
                self.security.forget(&Securable::Database(name.clone()));
                self.comments.remove(&Commented::Database(name.clone()));
            }
            CatalogChange::PutCluster(cluster) => self.put_cluster(cluster)?,
            CatalogChange::DropCluster { name } => self.drop_cluster(name),
            CatalogChange::Comment { on, text: Some(text) } => {
                self.comments.insert(on.clone(), text.clone());
            }
            CatalogChange::Comment { on, text: None } => {
                self.comments.remove(on);
            }
            other => self.apply_security(other)?,
        }
        Ok(())
    }

    fn rename_schemas(
        &mut self,
        database: &str,
        names: &[(String, String)],
        items: &[Item],
    ) -> Result<(), SqlError> {
        let key = |name: &String| (Some(database.to_owned()), name.clone());
        let mut moved = Vec::with_capacity(names.len());
        for (from, to) in names {
            let Some(schema) = self.schemas.remove(&key(from)) else {
                return Err(SqlError::new(
                    SqlState::INVALID_SCHEMA_NAME,
                    format!("schema \"{from}\" does not exist"),
                ));
            };
            moved.push((to, schema));
        }
        self.move_schema_comments(database, names);
        for (to, schema) in moved {
            if self.schemas.insert(key(to), schema).is_some() {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_SCHEMA,
                    format!("schema \"{to}\" already exists"),
                ));
            }
        }
        self.security.rename_schemas(database, names);
        for item in items {
            if let Some(old) = self.items.get(&item.id).cloned() {
                self.forget_name(&old);
            }
        }
        items.iter().try_for_each(|item| self.put_item(Arc::new(item.clone())))
    }

    /// The slots that dropped sources left upstream.
    pub fn orphaned_slots(&self) -> impl Iterator<Item = &OrphanedSlot> {
        self.orphaned_slots.values()
    }

    fn put_item(&mut self, item: Arc<Item>) -> Result<(), SqlError> {
        self.check_name(&item)?;
        for dependency in &item.depends_on {
            if !self.items.contains_key(dependency) {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("an object that \"{}\" depends on was dropped", item.name.item),
                )
                .with_hint("Run the statement again."));
            }
        }
        if let Some(old) = self.items.get(&item.id).cloned() {
            self.keep_column_comments(&old, &item);
            self.forget_name(&old);
            for dependency in &old.depends_on {
                if let Some(set) = self.dependants.get_mut(dependency) {
                    set.remove(&old.id);
                }
            }
        }
        for dependency in &item.depends_on {
            self.dependants.entry(*dependency).or_default().insert(item.id);
        }
        if let ObjectId::User(number) = item.id {
            self.next_number = self.next_number.max(number + 1);
        }
        if item.function().is_some() {
            self.functions.entry(item.name.clone()).or_default().insert(item.id);
        } else {
            self.names.insert(item.name.clone(), item.id);
        }
        let (id, system) = (item.id, item.is_system());
        let new = self.items.insert(id, item).is_none();
        if new && !system {
            self.grant_defaults(&Securable::Item(id));
        }
        Ok(())
    }

    fn drop_item(&mut self, id: ObjectId) -> Result<(), SqlError> {
        let Some(item) = self.items.remove(&id) else {
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, format!("no object {id}")));
        };
        self.forget_name(&item);
        self.security.forget(&Securable::Item(id));
        self.forget_comments(&item);
        self.dependants.remove(&id);
        for dependency in &item.depends_on {
            if let Some(set) = self.dependants.get_mut(dependency) {
                set.remove(&id);
            }
        }
        Ok(())
    }

    /// Refuses a name that another object has.
    fn check_name(&self, item: &Item) -> Result<(), SqlError> {
        let Some(function) = item.function() else {
            return match self.names.get(&item.name) {
                Some(other) if *other != item.id => Err(already_exists(&item.name.item)),
                _ => Ok(()),
            };
        };
        let same = |other: &&Arc<Item>| {
            other.id != item.id && other.function().is_some_and(|other| function.takes_same(other))
        };
        match self.functions_named(&item.name).find(same) {
            None => Ok(()),
            Some(_) => Err(SqlError::new(
                SqlState::DUPLICATE_FUNCTION,
                format!("function \"{}\" already exists with same argument types", item.name.item),
            )),
        }
    }

    fn forget_name(&mut self, item: &Item) {
        if self.names.get(&item.name) == Some(&item.id) {
            self.names.remove(&item.name);
        }
        if let Some(named) = self.functions.get_mut(&item.name) {
            named.remove(&item.id);
            if named.is_empty() {
                self.functions.remove(&item.name);
            }
        }
    }

    /// The functions of a full name.
    pub fn functions_named(&self, name: &QualifiedName) -> impl Iterator<Item = &Arc<Item>> {
        let named = self.functions.get(name).into_iter().flatten();
        named.filter_map(|id| self.items.get(id))
    }

    /// The functions that a name may mean, in the order of the search path; of those that take
    /// the same arguments the first.
    pub fn find_functions(
        &self,
        database: &str,
        search_path: &[String],
        parts: &[String],
    ) -> Vec<&Arc<Item>> {
        if self.functions.is_empty() {
            return Vec::new();
        }
        let full = |database: &str, schema: &str, item: &str| QualifiedName {
            database: Some(database.to_owned()),
            schema: schema.to_owned(),
            item: item.to_owned(),
        };
        let places: Vec<QualifiedName> = match parts {
            [item] => search_path.iter().map(|schema| full(database, schema, item)).collect(),
            [schema, item] => vec![full(database, schema, item)],
            [database, schema, item] => vec![full(database, schema, item)],
            _ => Vec::new(),
        };
        let mut found: Vec<&Arc<Item>> = Vec::new();
        for item in places.iter().flat_map(|place| self.functions_named(place)) {
            let Some(function) = item.function() else { continue };
            let hidden = |known: &&Arc<Item>| {
                known.function().is_some_and(|known| known.takes_same(function))
            };
            if !found.iter().any(hidden) {
                found.push(item);
            }
        }
        found
    }

    /// The number that the next object, database or schema takes; several are counted up.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// The oid that goes with a number from [`Catalog::next_number`].
    pub fn oid_for(number: u64) -> Oid {
        Oid(FIRST_OID.saturating_add(u32::try_from(number).unwrap_or(u32::MAX)))
    }

    /// The same catalog with the plan of a view or materialized view put in.
    pub fn with_plan(&self, id: ObjectId, query: Arc<QueryExpr>) -> Catalog {
        self.with_item(id, |item| match &mut item.definition {
            Definition::View(view) => view.query = Some(query),
            Definition::MaterializedView(materialized) => materialized.view.query = Some(query),
            _ => {}
        })
    }

    /// The same catalog with the key of an index put in.
    pub fn with_index_key(&self, id: ObjectId, key: Vec<ScalarExpr>) -> Catalog {
        self.with_item(id, |item| {
            if let Definition::Index(index) = &mut item.definition {
                index.key = key;
            }
        })
    }

    fn with_item(&self, id: ObjectId, change: impl FnOnce(&mut Item)) -> Catalog {
        let mut next = self.clone();
        if let Some(item) = self.items.get(&id) {
            let mut item = (**item).clone();
            change(&mut item);
            next.items.insert(id, Arc::new(item));
        }
        next
    }

    /// The object with this identity.
    pub fn item(&self, id: ObjectId) -> Option<&Arc<Item>> {
        self.items.get(&id)
    }

    /// The object with this oid.
    pub fn item_by_oid(&self, oid: Oid) -> Option<&Arc<Item>> {
        self.items.values().find(|item| item.oid == oid)
    }

    /// All objects, by identity.
    pub fn items(&self) -> impl Iterator<Item = &Arc<Item>> {
        self.items.values()
    }

    /// The objects that another catalog does not have, or has otherwise.
    pub fn items_not_in<'a>(&'a self, other: &'a Catalog) -> impl Iterator<Item = &'a Arc<Item>> {
        self.items.iter().filter_map(move |(id, item)| {
            let same = other.items.get(id).is_some_and(|other| Arc::ptr_eq(item, other));
            (!same).then_some(item)
        })
    }

    /// The object with this full name.
    pub fn item_by_name(&self, name: &QualifiedName) -> Option<&Arc<Item>> {
        self.items.get(self.names.get(name)?)
    }

    /// The oid of the schema an object is in; 0 if there is none.
    pub fn schema_oid(&self, name: &QualifiedName) -> Oid {
        let key = (name.database.clone(), name.schema.clone());
        self.schemas.get(&key).map_or(Oid(0), |schema| schema.oid)
    }

    /// The schemas in which a name without schema is looked up, in order.
    pub fn lookup_path<'a>(&'a self, search_path: &'a [String]) -> impl Iterator<Item = &'a str> {
        let named = |schema: &&&str| search_path.iter().any(|path| path == **schema);
        let implicit: Vec<&str> =
            IMPLICIT_SCHEMAS.iter().filter(|schema| !named(schema)).copied().collect();
        implicit.into_iter().chain(search_path.iter().map(String::as_str))
    }

    /// All databases by name.
    pub fn databases(&self) -> impl Iterator<Item = (&String, &Database)> {
        self.databases.iter()
    }

    /// All schemas by database (None: system) and name.
    pub fn schemas(&self) -> impl Iterator<Item = (&(Option<String>, String), &Schema)> {
        self.schemas.iter()
    }

    /// A database by name.
    pub fn database(&self, name: &str) -> Option<&Database> {
        self.databases.get(name)
    }

    /// A schema by name, system schemas included.
    pub fn schema(&self, database: &str, name: &str) -> Option<&Schema> {
        self.schemas
            .get(&(Some(database.to_owned()), name.to_owned()))
            .or_else(|| self.schemas.get(&(None, name.to_owned())))
    }

    /// The objects in a schema (database None: a system schema).
    pub fn items_in_schema<'a>(
        &'a self,
        database: Option<&'a str>,
        schema: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Item>> {
        self.items().filter(move |item| {
            item.name.database.as_deref() == database && item.name.schema == schema
        })
    }

    /// Finds an object by the parts of a name: `item`, `schema.item` or `database.schema.item`.
    /// Without schema the search path is followed, system schemas first.
    pub fn find_item(
        &self,
        database: &str,
        search_path: &[String],
        parts: &[String],
    ) -> Option<&Arc<Item>> {
        let lookup = |database: Option<&str>, schema: &str, item: &str| {
            self.item_by_name(&QualifiedName {
                database: database.map(str::to_owned),
                schema: schema.to_owned(),
                item: item.to_owned(),
            })
        };
        let in_schema = |database: &str, schema: &str, item: &str| {
            let schema = if schema == "mz_temp" { TEMPORARY_SCHEMA } else { schema };
            let system = SYSTEM_SCHEMAS.contains(&schema);
            lookup((!system).then_some(database), schema, item)
        };
        match parts {
            [item] => {
                let named = |schema: &&str| search_path.iter().any(|path| path == *schema);
                lookup(Some(database), TEMPORARY_SCHEMA, item)
                    .or_else(|| {
                        let implicit = IMPLICIT_SCHEMAS.iter().filter(|schema| !named(schema));
                        implicit.into_iter().find_map(|schema| lookup(None, schema, item))
                    })
                    .or_else(|| {
                        search_path.iter().find_map(|schema| in_schema(database, schema, item))
                    })
            }
            [schema, item] => in_schema(database, schema, item),
            [database, schema, item] => in_schema(database, schema, item),
            _ => None,
        }
    }

    /// The created type of a name, or the relation whose rows are of a type of that name.
    pub fn find_type(
        &self,
        database: &str,
        search_path: &[String],
        parts: &[String],
    ) -> Option<&Arc<Item>> {
        let found = self.find_item(database, search_path, parts)?;
        let is_type = matches!(found.definition, Definition::Type(_)) || found.desc().is_some();
        (is_type && !found.is_system()).then_some(found)
    }

    /// The created types that a type names, as objects.
    pub fn named_types(&self, typ: &ScalarType) -> Vec<ObjectId> {
        let mut oids = Vec::new();
        typ.names(&mut oids);
        if oids.is_empty() {
            return Vec::new();
        }
        self.items
            .values()
            .filter(|item| match &item.definition {
                Definition::Type(_) => oids.contains(&item.oid),
                _ => !item.is_system() && oids.contains(&item.row_type_oid()),
            })
            .map(|item| item.id)
            .collect()
    }

    /// [`Catalog::find_item`], for relations that can be selected from.
    ///
    /// # Errors
    /// There is none (`42P01`, `3F000` for the schema, `3D000` for the database), or it is
    /// nothing to select from (`42809`).
    pub fn resolve_relation(
        &self,
        database: &str,
        search_path: &[String],
        parts: &[String],
    ) -> Result<&Arc<Item>, SqlError> {
        let item = self.resolve_item(database, search_path, parts)?;
        if item.desc().is_some() {
            return Ok(item);
        }
        let error = SqlError::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!("{} \"{}\" cannot be queried", item.kind(), item.name.item),
        );
        Err(match item.kind() {
            ItemKind::Source => {
                error.with_hint("Query the tables that were created from the source.")
            }
            _ => error,
        })
    }

    /// [`Catalog::find_item`] with PostgreSQL's errors.
    ///
    /// # Errors
    /// There is none (`42P01`), or not even the database or schema.
    pub fn resolve_item(
        &self,
        database: &str,
        search_path: &[String],
        parts: &[String],
    ) -> Result<&Arc<Item>, SqlError> {
        if let Some(item) = self.find_item(database, search_path, parts) {
            return Ok(item);
        }
        if let [named, _, _] = parts {
            self.require_database(named)?;
        }
        Err(SqlError::new(
            SqlState::UNDEFINED_TABLE,
            format!("relation \"{}\" does not exist", parts.join(".")),
        ))
    }

    fn require_database(&self, name: &str) -> Result<(), SqlError> {
        if self.databases.contains_key(name) {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::INVALID_CATALOG_NAME,
            format!("database \"{name}\" does not exist"),
        ))
    }

    /// The full name a new object gets from the parts of a name as written.
    ///
    /// # Errors
    /// The database or schema does not exist, is a system schema, or the name is too long.
    pub fn resolve_new_name(
        &self,
        database: &str,
        search_path: &[String],
        parts: &[String],
    ) -> Result<QualifiedName, SqlError> {
        let (database, schema, item) = match parts {
            [item] => {
                let schema = search_path
                    .iter()
                    .find(|schema| {
                        !SYSTEM_SCHEMAS.contains(&schema.as_str())
                            && self.schema(database, schema).is_some()
                    })
                    .ok_or_else(|| {
                        SqlError::new(
                            SqlState::INVALID_SCHEMA_NAME,
                            "no schema has been selected to create in",
                        )
                        .with_hint("Name the schema, or set search_path to one that exists.")
                    })?;
                (database, schema.as_str(), item)
            }
            [schema, item] => (database, schema.as_str(), item),
            [database, schema, item] => (database.as_str(), schema.as_str(), item),
            _ => {
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    format!("improper qualified name (too many dotted names): {}", parts.join(".")),
                ));
            }
        };
        self.require_database(database)?;
        if SYSTEM_SCHEMAS.contains(&schema) {
            return Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied to create \"{schema}.{item}\""),
            )
            .with_detail("System schemas cannot be changed."));
        }
        if self.schema(database, schema).is_none() {
            return Err(SqlError::new(
                SqlState::INVALID_SCHEMA_NAME,
                format!("schema \"{schema}\" does not exist"),
            ));
        }
        if item.len() > 255 {
            return Err(SqlError::new(
                SqlState::INVALID_NAME,
                format!(
                    "the name \"{}..\" is longer than 255 bytes",
                    &item[..item.floor_char_boundary(40)]
                ),
            ));
        }
        Ok(QualifiedName {
            database: Some(database.to_owned()),
            schema: schema.to_owned(),
            item: item.clone(),
        })
    }

    /// The objects that depend directly on an object.
    pub fn direct_dependants(&self, id: ObjectId) -> impl Iterator<Item = ObjectId> {
        self.dependants.get(&id).into_iter().flatten().copied()
    }

    /// All objects that depend on an object, over any number of steps, itself left out; each
    /// before the objects it depends on, so that they can be dropped in this order.
    pub fn dependants(&self, id: ObjectId) -> Vec<ObjectId> {
        let mut seen = BTreeSet::new();
        let mut order = Vec::new();
        self.visit_dependants(id, &mut seen, &mut order);
        order.pop();
        order
    }

    fn visit_dependants(
        &self,
        id: ObjectId,
        seen: &mut BTreeSet<ObjectId>,
        order: &mut Vec<ObjectId>,
    ) {
        if !seen.insert(id) {
            return;
        }
        for dependant in self.direct_dependants(id) {
            self.visit_dependants(dependant, seen, order);
        }
        order.push(id);
    }

    /// The indexes on a relation.
    pub fn indexes_on(&self, id: ObjectId) -> impl Iterator<Item = &Arc<Item>> {
        self.direct_dependants(id).filter_map(|dependant| self.items.get(&dependant)).filter(
            move |item| matches!(&item.definition, Definition::Index(index) if index.on == id),
        )
    }

    /// The base collections that a relation is computed from, itself if it is one.
    pub fn base_collections(&self, id: ObjectId) -> BTreeSet<ObjectId> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            if !seen.insert(id) {
                continue;
            }
            let Some(item) = self.items.get(&id) else { continue };
            match &item.definition {
                Definition::Table(_) => {
                    found.insert(id);
                }
                Definition::MaterializedView(materialized) if materialized.refresh.is_some() => {
                    found.insert(id);
                }
                Definition::View(_)
                | Definition::MaterializedView(_)
                | Definition::Index(_)
                | Definition::Function(_) => {
                    todo.extend(&item.depends_on);
                }
                _ => {}
            }
        }
        found
    }
}

/// The error for a name that is taken.
pub fn already_exists(item: &str) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_TABLE, format!("relation \"{item}\" already exists"))
}

mod clusters;

#[cfg(test)]
mod tests;
