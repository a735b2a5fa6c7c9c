//! DROP.

mod shown;

use std::collections::BTreeSet;

use tidemill_catalog::snapshot::SYSTEM_SCHEMAS;
use tidemill_catalog::{
    Catalog, Connection, Definition, Generation, Item, ItemKind, QualifiedName,
};
use tidemill_repr::{ObjectId, SqlError, SqlState};

pub(super) use self::shown::Shown;

use self::shown::belongs_to_another;
use super::{Planning, command};
use crate::ast::{DropObjects, ObjectKind};
use crate::names;
use crate::plan::{DropPlan, Notice, Plan, Planned};

impl Planning<'_> {
    pub(super) fn drop(&self, statement: &DropObjects) -> Result<Planned, SqlError> {
        match statement.kind {
            ObjectKind::Schema => self.drop_schemas(statement),
            ObjectKind::Database => self.drop_databases(statement),
            ObjectKind::Cluster => self.drop_clusters(statement),
            kind => {
                let (kind, tag) = item_kind(kind)
                    .ok_or_else(|| SqlError::internal("a kind of object without items"))?;
                self.drop_items(statement, kind, tag)
            }
        }
    }

    fn drop_items(
        &self,
        statement: &DropObjects,
        kind: ItemKind,
        tag: &'static str,
    ) -> Result<Planned, SqlError> {
        let mut named = Vec::new();
        let mut notices = Vec::new();
        for name in &statement.names {
            match self.droppable(name, kind) {
                Ok(item) if item.is_system() => {
                    return Err(SqlError::new(
                        SqlState::INSUFFICIENT_PRIVILEGE,
                        format!("cannot drop {kind} {} because it is built in", item.name.item),
                    ));
                }
                Ok(item) => {
                    refuse_needed(self.planner.catalog, item)?;
                    if statement.kind == ObjectKind::Domain {
                        super::created::require_domain(item)?;
                    }
                    named.push(item.id);
                }
                Err(error) if statement.if_exists && is_missing(&error) => {
                    let parts = names::parts(name)?.join(".");
                    let message = format!("{kind} \"{parts}\" does not exist, skipping");
                    notices.push(Notice::new(SqlState("00000"), message));
                }
                Err(error) => return Err(self.other_drop(name, error)),
            }
        }
        self.dropped(&named, statement.cascade == Some(true), tag, notices)
    }

    /// The error of a name that is of another kind: what drops it.
    fn other_drop(&self, name: &sqlparser::ast::ObjectName, mut error: SqlError) -> SqlError {
        let session = self.planner.session;
        let parts = names::parts(name).unwrap_or_default();
        let found = self.planner.catalog.find_item(session.database, session.search_path, &parts);
        if let (SqlState::WRONG_OBJECT_TYPE, Some(found)) = (error.code, found) {
            let kind = found.kind();
            let article = if kind == ItemKind::Index { "an" } else { "a" };
            let word = kind.to_string();
            error.detail = None;
            error.hint =
                Some(format!("Use DROP {} to remove {article} {word}.", word.to_uppercase()));
        }
        error
    }

    pub(super) fn dropped(
        &self,
        named: &[ObjectId],
        cascade: bool,
        tag: &'static str,
        mut notices: Vec<Notice>,
    ) -> Result<Planned, SqlError> {
        let items = with_dependants(self.naming(), named, cascade, &mut notices)?;
        let mut planned = command(Plan::Drop(DropPlan { items, tag, ..DropPlan::default() }));
        planned.notices = notices;
        Ok(planned)
    }

    /// The object that DROP means. A subsource is dropped as a source too, and so is the
    /// progress relation.
    fn droppable(
        &self,
        name: &sqlparser::ast::ObjectName,
        kind: ItemKind,
    ) -> Result<&Item, SqlError> {
        let found = self.item(name, &[kind]);
        if found.is_err()
            && kind == ItemKind::Source
            && let Ok(table) = self.item(name, &[ItemKind::Table])
            && table.table().and_then(|table| table.source.as_ref()).is_some_and(|s| s.subsource)
        {
            return Ok(table);
        }
        found
    }

    /// ALTER SOURCE .. DROP SUBSOURCE.
    pub(super) fn drop_subsources(
        &self,
        source: &Item,
        names: &[sqlparser::ast::ObjectName],
        if_exists: bool,
        cascade: Option<bool>,
    ) -> Result<Planned, SqlError> {
        let mut named = Vec::new();
        let mut notices = Vec::new();
        for name in names {
            // A name without schema is first looked for beside the source.
            let beside = match names::parts(name)?.as_slice() {
                [item] => {
                    let name = QualifiedName { item: item.clone(), ..source.name.clone() };
                    self.planner.catalog.item_by_name(&name).map(AsRef::as_ref)
                }
                _ => None,
            };
            let found = match beside {
                Some(item) => Ok(item),
                None => self.item(name, &[ItemKind::Table]),
            };
            let item = match found {
                Ok(item) => item,
                Err(error) if if_exists && is_missing(&error) => {
                    let parts = names::parts(name)?.join(".");
                    let message = format!("subsource \"{parts}\" does not exist, skipping");
                    notices.push(Notice::new(SqlState("00000"), message));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let follows = item.table().and_then(|table| table.source.as_ref());
            if follows.is_none_or(|follows| follows.source != source.id) {
                return Err(SqlError::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!(
                        "\"{}\" is not a table of source \"{}\"",
                        item.name.item, source.name.item
                    ),
                ));
            }
            named.push(item.id);
        }
        self.dropped(&named, cascade == Some(true), "ALTER SOURCE", notices)
    }

    fn drop_schemas(&self, statement: &DropObjects) -> Result<Planned, SqlError> {
        const TAG: &str = "DROP SCHEMA";
        let catalog = self.planner.catalog;
        let mut plan = DropPlan { tag: TAG, ..DropPlan::default() };
        let mut notices = Vec::new();
        let mut named = Vec::new();
        for name in &statement.names {
            let parts = names::parts(name)?;
            let (database, schema) = match parts.as_slice() {
                [schema] => (self.planner.session.database, schema),
                [database, schema] => (database.as_str(), schema),
                _ => return Err(improper(&parts)),
            };
            if SYSTEM_SCHEMAS.contains(&schema.as_str()) {
                return Err(SqlError::new(
                    SqlState::INSUFFICIENT_PRIVILEGE,
                    format!("cannot drop schema {schema} because it is built in"),
                ));
            }
            if catalog.schema(database, schema).is_none() {
                let message = format!("schema \"{schema}\" does not exist");
                missing(statement, SqlState::INVALID_SCHEMA_NAME, message, &mut notices)?;
                continue;
            }
            let inside: Vec<ObjectId> =
                catalog.items_in_schema(Some(database), schema).map(|item| item.id).collect();
            refuse_content(statement, self.naming(), "schema", schema, &inside)?;
            named.extend(inside);
            plan.schemas.push((database.to_owned(), schema.clone()));
        }
        plan.items = with_dependants(self.naming(), &named, true, &mut Vec::new())?;
        let gone = plan.items.iter().filter_map(|id| catalog.item(*id));
        let told = gone.filter(|item| !belongs_to_another(item)).map(|item| &**item);
        notices.extend(cascade_notice(self.naming(), told.collect()));
        let mut planned = command(Plan::Drop(plan));
        planned.notices = notices;
        Ok(planned)
    }

    /// How messages name objects.
    pub(super) fn naming(&self) -> Shown<'_> {
        Shown(self.planner)
    }

    fn drop_databases(&self, statement: &DropObjects) -> Result<Planned, SqlError> {
        const TAG: &str = "DROP DATABASE";
        let catalog = self.planner.catalog;
        let mut plan = DropPlan { tag: TAG, ..DropPlan::default() };
        let mut notices = Vec::new();
        let mut named = Vec::new();
        for name in &statement.names {
            let parts = names::parts(name)?;
            let [database] = parts.as_slice() else { return Err(improper(&parts)) };
            if catalog.database(database).is_none() {
                let message = format!("database \"{database}\" does not exist");
                missing(statement, SqlState::INVALID_CATALOG_NAME, message, &mut notices)?;
                continue;
            }
            if database == self.planner.session.database {
                return Err(SqlError::new(
                    SqlState::OBJECT_IN_USE,
                    "cannot drop the currently open database",
                ));
            }
            let mut inside = Vec::new();
            for ((owner, schema), _) in catalog.schemas() {
                if owner.as_deref() == Some(database) {
                    plan.schemas.push((database.clone(), schema.clone()));
                    inside.extend(
                        catalog.items_in_schema(Some(database), schema).map(|item| item.id),
                    );
                }
            }
            // As in PostgreSQL a database goes with what is in it, unless RESTRICT is said.
            if statement.cascade == Some(false) {
                refuse_content(statement, self.naming(), "database", database, &inside)?;
            }
            named.extend(inside);
            plan.databases.push(database.clone());
        }
        plan.items = with_dependants(self.naming(), &named, true, &mut notices)?;
        let mut planned = command(Plan::Drop(plan));
        planned.notices = notices;
        Ok(planned)
    }
}

/// The catalog's kind and the command tag.
pub(super) fn item_kind(kind: ObjectKind) -> Option<(ItemKind, &'static str)> {
    Some(match kind {
        ObjectKind::Table => (ItemKind::Table, "DROP TABLE"),
        ObjectKind::View => (ItemKind::View, "DROP VIEW"),
        ObjectKind::MaterializedView => (ItemKind::MaterializedView, "DROP MATERIALIZED VIEW"),
        ObjectKind::Index => (ItemKind::Index, "DROP INDEX"),
        ObjectKind::Source => (ItemKind::Source, "DROP SOURCE"),
        ObjectKind::Connection => (ItemKind::Connection, "DROP CONNECTION"),
        ObjectKind::Secret => (ItemKind::Secret, "DROP SECRET"),
        ObjectKind::Sequence => (ItemKind::Sequence, "DROP SEQUENCE"),
        ObjectKind::Type => (ItemKind::Type, "DROP TYPE"),
        ObjectKind::Domain => (ItemKind::Type, "DROP DOMAIN"),
        ObjectKind::Schema | ObjectKind::Database | ObjectKind::Cluster => return None,
    })
}

pub(super) fn is_missing(error: &SqlError) -> bool {
    [
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_OBJECT,
        SqlState::INVALID_SCHEMA_NAME,
        SqlState::INVALID_CATALOG_NAME,
    ]
    .contains(&error.code)
}

fn improper(parts: &[String]) -> SqlError {
    SqlError::new(
        SqlState::SYNTAX_ERROR,
        format!("improper qualified name (too many dotted names): {}", parts.join(".")),
    )
}

fn missing(
    statement: &DropObjects,
    code: SqlState,
    message: String,
    notices: &mut Vec<Notice>,
) -> Result<(), SqlError> {
    if !statement.if_exists {
        return Err(SqlError::new(code, message));
    }
    notices.push(Notice::new(SqlState("00000"), format!("{message}, skipping")));
    Ok(())
}

fn refuse_content(
    statement: &DropObjects,
    shown: Shown<'_>,
    kind: &str,
    name: &str,
    inside: &[ObjectId],
) -> Result<(), SqlError> {
    if statement.cascade == Some(true) || inside.is_empty() {
        return Ok(());
    }
    let catalog = shown.0.catalog;
    let outside: BTreeSet<ObjectId> = inside
        .iter()
        .flat_map(|id| catalog.dependants(*id))
        .filter(|id| !inside.contains(id))
        .collect();
    let lines: Vec<String> = inside
        .iter()
        .filter_map(|id| catalog.item(*id))
        .filter(|item| !belongs_to_another(item))
        .flat_map(|item| {
            let line = format!("{} {} depends on {kind} {name}", item.kind(), shown.name(item));
            let outside = outside.iter().filter_map(|id| catalog.item(*id));
            let users = outside.filter(|user| user.depends_on.contains(&item.id));
            std::iter::once(line)
                .chain(users.flat_map(|user| super::created::uses(shown, user, item)))
                .collect::<Vec<_>>()
        })
        .collect();
    Err(dependants_exist(format!("cannot drop {kind} {name}"), &lines)
        .with_hint("Use DROP ... CASCADE to drop the dependent objects too."))
}

/// The objects and all that depends on them, dependants first. Indexes and the tables made
/// together with a source go with what they belong to; for others CASCADE is needed.
pub(super) fn with_dependants(
    shown: Shown<'_>,
    named: &[ObjectId],
    cascade: bool,
    notices: &mut Vec<Notice>,
) -> Result<Vec<ObjectId>, SqlError> {
    let catalog = shown.0.catalog;
    let named = &with_made(catalog, named);
    let roots: BTreeSet<ObjectId> = named.iter().copied().collect();
    let subsources: BTreeSet<ObjectId> =
        named.iter().flat_map(|root| belonging(catalog, *root)).collect();
    let mut seen = BTreeSet::new();
    let mut order = Vec::new();
    let mut refused = Vec::new();
    let mut first = None;
    let mut cascaded = Vec::new();
    for root in named {
        let Some(owner) = catalog.item(*root) else { continue };
        let dependants = catalog.dependants(*root);
        let gone: BTreeSet<ObjectId> = dependants.iter().copied().chain([*root]).collect();
        for id in dependants.into_iter().chain([*root]) {
            let Some(item) = catalog.item(id) else { continue };
            let belongs = matches!(item.kind(), ItemKind::Index | ItemKind::Sequence)
                || roots.contains(&id)
                || subsources.contains(&id);
            if !belongs && !cascade {
                first.get_or_insert((owner.kind(), shown.name(owner)));
                let through = item.depends_on.iter().find(|needed| gone.contains(needed));
                let needed = through.and_then(|id| catalog.item(*id)).unwrap_or(owner);
                refused.extend(super::created::uses(shown, item, needed));
            }
            if seen.insert(id) {
                if !belongs {
                    cascaded.push(&**item);
                }
                order.push(id);
            }
        }
    }
    if let Some((kind, name)) = first {
        refused.reverse();
        return Err(dependants_exist(format!("cannot drop {kind} {name}"), &refused)
            .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
    }
    notices.extend(cascade_notice(shown, cascaded));
    Ok(sorted(catalog, order))
}

/// What goes with what is dropped, as PostgreSQL tells it.
pub(super) fn cascade_notice(shown: Shown<'_>, mut items: Vec<&Item>) -> Option<Notice> {
    items.sort_by_key(|item| item.id);
    let line = |item: &&Item| format!("drop cascades to {} {}", item.kind(), shown.name(item));
    match items.as_slice() {
        [] => None,
        [only] => Some(Notice::new(SqlState("00000"), line(only))),
        more => {
            let message = format!("drop cascades to {} other objects", more.len());
            let mut notice = Notice::new(SqlState("00000"), message);
            notice.detail = Some(more.iter().map(line).collect::<Vec<_>>().join("\n"));
            Some(notice)
        }
    }
}

/// The index of a constraint goes with the constraint, and a sequence that fills a column with
/// the column.
pub(super) fn refuse_needed(catalog: &Catalog, item: &Item) -> Result<(), SqlError> {
    let (kind, name) = (item.kind(), &item.name.item);
    let code = SqlState::DEPENDENT_OBJECTS_STILL_EXIST;
    match &item.definition {
        Definition::Index(index) => {
            let on = catalog.item(index.on);
            let constraints = on.and_then(|on| on.table()).map(|table| &table.constraints);
            let needing = constraints
                .into_iter()
                .flatten()
                .find(|constraint| constraint.key().is_some_and(|(_, index)| index == item.id));
            let (Some(constraint), Some(on)) = (needing, on) else { return Ok(()) };
            let (constraint, table) = (&constraint.name, &on.name.item);
            Err(SqlError::new(
                code,
                format!(
                    "cannot drop index {name} because constraint {constraint} on table {table} \
                     requires it"
                ),
            )
            .with_hint(format!("You can drop constraint {constraint} on table {table} instead.")))
        }
        Definition::Sequence(sequence) => {
            let Some((table, column)) = sequence.owned_by else { return Ok(()) };
            let Some(owner) = catalog.item(table) else { return Ok(()) };
            let Some(table) = owner.table() else { return Ok(()) };
            let generation = table.generation(column);
            if generation.and_then(Generation::sequence) != Some(item.id) {
                return Ok(());
            }
            let column = table.desc.columns.get(column).map_or("", |column| &column.name);
            let table = &owner.name.item;
            if let Some(Generation::Identity { .. }) = generation {
                return Err(SqlError::new(
                    code,
                    format!(
                        "cannot drop sequence {name} because column {column} of table {table} \
                         requires it"
                    ),
                )
                .with_hint(format!("You can drop column {column} of table {table} instead.")));
            }
            let line = format!(
                "default value for column {column} of table {table} depends on {kind} {name}"
            );
            Err(dependants_exist(format!("cannot drop {kind} {name}"), &[line])
                .with_hint("Use DROP ... CASCADE to drop the dependent objects too."))
        }
        _ => Ok(()),
    }
}

/// The objects, and the connections and passwords that were made from the connection strings of
/// sources among them, unless others have come to use those.
fn with_made(catalog: &Catalog, named: &[ObjectId]) -> Vec<ObjectId> {
    let mut all = named.to_vec();
    for id in named {
        let Some(Definition::Source(source)) = catalog.item(*id).map(|item| &item.definition)
        else {
            continue;
        };
        let Some(Definition::Connection(Connection::Postgres(options))) =
            catalog.item(source.connection).map(|item| &item.definition)
        else {
            continue;
        };
        let alone = |id: ObjectId, user: ObjectId| {
            catalog.direct_dependants(id).all(|dependant| dependant == user)
        };
        if !options.made_for_source || !alone(source.connection, *id) {
            continue;
        }
        all.push(source.connection);
        all.extend(options.password.filter(|password| alone(*password, source.connection)));
    }
    all
}

/// The tables that were made together with a source, and its progress relation.
fn belonging(catalog: &Catalog, source: ObjectId) -> BTreeSet<ObjectId> {
    if catalog.item(source).is_none_or(|item| item.kind() != ItemKind::Source) {
        return BTreeSet::new();
    }
    catalog
        .direct_dependants(source)
        .filter_map(|id| catalog.item(id))
        .filter(|item| {
            let table = item.table().and_then(|table| table.source.as_ref());
            // Nothing but its progress relation is a view that depends on a source.
            matches!(item.definition, Definition::View(_))
                || table.is_some_and(|table| table.subsource && table.source == source)
        })
        .map(|item| item.id)
        .collect()
}

/// Puts each object before those it depends on: later objects can only depend on earlier ones,
/// except that a replaced object keeps its place, so dependencies decide.
fn sorted(catalog: &Catalog, objects: Vec<ObjectId>) -> Vec<ObjectId> {
    let set: BTreeSet<ObjectId> = objects.iter().copied().collect();
    let mut order = Vec::with_capacity(objects.len());
    let mut done = BTreeSet::new();
    for id in objects {
        for before in catalog.dependants(id).into_iter().chain([id]) {
            if set.contains(&before) && done.insert(before) {
                order.push(before);
            }
        }
    }
    order
}

/// The error for objects that are needed by others.
pub(super) fn dependants_exist(what: String, lines: &[String]) -> SqlError {
    SqlError::new(
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
        format!("{what} because other objects depend on it"),
    )
    .with_detail(lines.join("\n"))
}
