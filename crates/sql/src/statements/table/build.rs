//! A new table, put together: names of its constraints, indexes behind its keys, sequences
//! behind its columns.

use std::collections::BTreeSet;

use sqlparser::ast::Expr;
use tidemill_catalog::name::quote_identifier;
use tidemill_catalog::{
    Constraint, ConstraintKind, Definition, Generation, Index, QualifiedName, Table, UniqueKey,
};
use tidemill_repr::{Column, ColumnType, ObjectId, RelationDesc, ScalarType, SqlError};

use super::constraints::{choose_name, multiple_primary_keys};
use super::generation::{self, NewGeneration};
use crate::names;
use crate::plan::{CreateTablePlan, NewItem};
use crate::statements::Planning;
use crate::statements::options::span_text;
use crate::types;

/// The first of the numbers by which the parts of a plan name each other.
pub(super) const PLAN_NUMBER: u64 = 1 << 60;

/// A table while its statement is read.
pub(super) struct NewTable {
    pub name: QualifiedName,
    /// The number of its identity; those of its parts follow.
    pub number: u64,
    pub desc: RelationDesc,
    pub defaults: Vec<Option<String>>,
    pub generation: Vec<Option<NewGeneration>>,
    pub keys: Vec<NewKey>,
    pub checks: Vec<NewCheck>,
    pub depends_on: Vec<ObjectId>,
    pub retain_history: Option<u64>,
}

/// A PRIMARY KEY or UNIQUE.
pub(super) struct NewKey {
    pub name: Option<String>,
    /// The columns by name, where the table is not whole yet.
    pub columns: KeyColumns,
    pub primary: bool,
    pub nulls_not_distinct: bool,
}

/// The columns of a key.
pub(super) enum KeyColumns {
    Position(usize),
    Names(Vec<String>),
}

/// A CHECK.
pub(super) struct NewCheck {
    pub name: Option<String>,
    pub expr: Expr,
}

impl NewKey {
    pub fn of_column(
        name: Option<String>,
        position: usize,
        primary: bool,
        nulls_not_distinct: bool,
    ) -> NewKey {
        let columns = KeyColumns::Position(position);
        NewKey { name, columns, primary, nulls_not_distinct }
    }
}

impl NewTable {
    pub fn new(name: QualifiedName) -> NewTable {
        NewTable {
            name,
            number: PLAN_NUMBER,
            desc: RelationDesc::default(),
            defaults: Vec::new(),
            generation: Vec::new(),
            keys: Vec::new(),
            checks: Vec::new(),
            depends_on: Vec::new(),
            retain_history: None,
        }
    }
}

/// Gives out names and identities for the parts of a table.
struct Parts<'a> {
    planning: &'a Planning<'a>,
    table: QualifiedName,
    id: ObjectId,
    next: u64,
    items: Vec<NewItem>,
    taken: BTreeSet<String>,
}

impl Parts<'_> {
    fn is_free(&self, item: &str) -> bool {
        let name = QualifiedName { item: item.to_owned(), ..self.table.clone() };
        !self.taken.contains(item)
            && item != self.table.item
            && self.planning.planner.catalog.item_by_name(&name).is_none()
    }

    /// A name for a relation that belongs to the table.
    fn relation_name(&self, column: &str, label: &str) -> String {
        choose_name(&self.table.item, column, label, |name| self.is_free(name))
    }

    fn add(&mut self, item: String, create_sql: String, definition: Definition) -> ObjectId {
        self.taken.insert(item.clone());
        let name = QualifiedName { item, ..self.table.clone() };
        let depends_on = vec![self.id];
        self.items.push(NewItem { name, create_sql, depends_on, definition, replaces: None });
        let id = ObjectId::User(self.next);
        self.next += 1;
        id
    }
}

impl Planning<'_> {
    /// The plan that makes a table and its parts.
    pub(super) fn finish_table(&self, mut table: NewTable) -> Result<CreateTablePlan, SqlError> {
        let mut parts = Parts {
            planning: self,
            table: table.name.clone(),
            id: ObjectId::User(table.number),
            next: table.number + 1,
            items: Vec::new(),
            taken: BTreeSet::new(),
        };
        let generation = self.generations(&mut table, &mut parts)?;
        let mut constraints = self.checks(&table)?;
        for key in self.unique_keys(&mut table)? {
            let constraint = self.key_constraint(&table, key, &mut parts, &constraints)?;
            constraints.push(constraint);
        }
        table.desc.keys = planner_keys(&table.desc, &constraints);
        let generation =
            if generation.iter().all(Option::is_none) { Vec::new() } else { generation };
        let definition = Table {
            desc: table.desc,
            defaults: table.defaults,
            generation,
            constraints,
            source: None,
            retain_history: table.retain_history,
        };
        for column in &definition.desc.columns {
            let types = self.planner.catalog.named_types(&column.typ.scalar_type);
            table.depends_on.extend(types);
        }
        table.depends_on.sort_unstable();
        table.depends_on.dedup();
        let create_sql = table_sql(&table.name, &definition, &parts.items);
        let item = NewItem {
            name: table.name,
            create_sql,
            depends_on: table.depends_on,
            definition: Definition::Table(definition),
            replaces: None,
        };
        Ok(CreateTablePlan {
            number: table.number,
            table: item,
            parts: parts.items,
            on_commit: None,
            rows: None,
        })
    }

    /// The sequences behind columns.
    fn generations(
        &self,
        table: &mut NewTable,
        parts: &mut Parts<'_>,
    ) -> Result<Vec<Option<Generation>>, SqlError> {
        let mut generations = Vec::new();
        let is_stored: Vec<bool> = table
            .generation
            .iter()
            .map(|generation| matches!(generation, Some(NewGeneration::Stored(_))))
            .collect();
        for (position, generation) in std::mem::take(&mut table.generation).into_iter().enumerate()
        {
            let column = &table.desc.columns[position];
            let generation = match generation {
                None => None,
                Some(NewGeneration::Kept(generation)) => Some(generation),
                Some(NewGeneration::Stored(expr)) => {
                    Some(Generation::Stored(self.stored(table, position, &expr, &is_stored)?))
                }
                Some(NewGeneration::Serial) => {
                    let options = [];
                    let id = self.owned_sequence(table, position, &options, parts)?;
                    let name = &parts.items[parts.items.len() - 1].name.item;
                    let shown = quote_identifier(name).replace('\'', "''");
                    table.defaults[position] = Some(format!("nextval('{shown}'::regclass)"));
                    Some(Generation::Serial(id))
                }
                Some(NewGeneration::Identity { always, options }) => {
                    let integers = [ScalarType::Int2, ScalarType::Int4, ScalarType::Int8];
                    if !integers.contains(&column.typ.scalar_type) {
                        return Err(SqlError::new(
                            tidemill_repr::SqlState::INVALID_PARAMETER_VALUE,
                            "identity column type must be smallint, integer, or bigint",
                        ));
                    }
                    let sequence = self.owned_sequence(table, position, &options, parts)?;
                    Some(Generation::Identity { always, sequence })
                }
            };
            generations.push(generation);
        }
        Ok(generations)
    }

    fn owned_sequence(
        &self,
        table: &NewTable,
        position: usize,
        options: &[crate::ast::SequenceOption],
        parts: &mut Parts<'_>,
    ) -> Result<ObjectId, SqlError> {
        let column = &table.desc.columns[position];
        let mut sequence = generation::new_sequence(&column.typ.scalar_type, options)?;
        sequence.owned_by = Some((parts.id, position));
        let item = parts.relation_name(&column.name, "seq");
        let name = QualifiedName { item: item.clone(), ..table.name.clone() };
        let create_sql = generation::sequence_sql(&name, &sequence);
        Ok(parts.add(item, create_sql, Definition::Sequence(sequence)))
    }

    /// The keys, the primary one first, its columns not NULL.
    fn unique_keys(
        &self,
        table: &mut NewTable,
    ) -> Result<Vec<(Option<String>, UniqueKey)>, SqlError> {
        let mut keys: Vec<(Option<String>, UniqueKey)> = Vec::new();
        for key in std::mem::take(&mut table.keys) {
            let columns = table.key_columns(&key)?;
            if key.primary {
                if keys.iter().any(|(_, other)| other.primary) {
                    return Err(multiple_primary_keys(&table.name.item));
                }
                for column in &columns {
                    table.desc.columns[*column].typ.nullable = false;
                }
            }
            let unique = UniqueKey {
                columns,
                nulls_not_distinct: key.nulls_not_distinct,
                primary: key.primary,
            };
            keys.push((key.name, unique));
        }
        keys.sort_by_key(|(_, key)| !key.primary);
        // One that says nothing new is left out, as in PostgreSQL.
        let mut kept: Vec<(Option<String>, UniqueKey)> = Vec::new();
        for (name, key) in keys {
            let same = kept.iter_mut().find(|(known_name, known)| {
                known.columns == key.columns
                    && known.nulls_not_distinct == key.nulls_not_distinct
                    && (known_name.is_none() || name.is_none() || *known_name == name)
            });
            match same {
                Some((known_name, _)) => *known_name = known_name.take().or(name),
                None => kept.push((name, key)),
            }
        }
        Ok(kept)
    }

    fn key_constraint(
        &self,
        table: &NewTable,
        (name, key): (Option<String>, UniqueKey),
        parts: &mut Parts<'_>,
        constraints: &[Constraint],
    ) -> Result<Constraint, SqlError> {
        let columns: Vec<&Column> =
            key.columns.iter().map(|column| &table.desc.columns[*column]).collect();
        let name = match name {
            Some(name) => {
                if !parts.is_free(&name) {
                    return Err(tidemill_catalog::snapshot::already_exists(&name));
                }
                name
            }
            None if key.primary => parts.relation_name("", "pkey"),
            None => {
                let joined: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                parts.relation_name(&joined.join("_"), "key")
            }
        };
        if constraints.iter().any(|constraint| constraint.name == name) {
            return Err(super::constraints::already_exists(&name, &table.name.item));
        }
        let key_sql: Vec<String> =
            columns.iter().map(|column| quote_identifier(&column.name)).collect();
        let cluster = self.planner.session.cluster.to_owned();
        let create_sql = format!(
            "CREATE INDEX {} IN CLUSTER {} ON {} ({})",
            names::ident(&name),
            names::ident(&cluster),
            table.name,
            key_sql.join(", ")
        );
        let index = Index {
            on: parts.id,
            key_sql,
            key: crate::rebuild::unique_key(&table.desc, &key.columns),
            cluster,
            time_zone: None,
            unique: Some(key.clone()),
            retain_history: None,
        };
        let index = parts.add(name.clone(), create_sql, Definition::Index(index));
        Ok(Constraint { name, kind: ConstraintKind::Key { key, index } })
    }
}

/// The keys by which the planner knows rows apart: NULLs are not the same to UNIQUE.
pub(super) fn planner_keys(desc: &RelationDesc, constraints: &[Constraint]) -> Vec<Vec<usize>> {
    let certain = |key: &UniqueKey| {
        key.nulls_not_distinct
            || key.columns.iter().all(|column| !desc.columns[*column].typ.nullable)
    };
    let mut keys: Vec<Vec<usize>> = constraints
        .iter()
        .filter_map(Constraint::key)
        .filter(|(key, _)| certain(key))
        .map(|(key, _)| key.columns.clone())
        .collect();
    keys.dedup();
    keys
}

/// The statement that makes the table again.
fn table_sql(name: &QualifiedName, table: &Table, parts: &[NewItem]) -> String {
    let mut shown: Vec<String> = Vec::new();
    for (position, column) in table.desc.columns.iter().enumerate() {
        let default = table.defaults[position].as_deref();
        let sequence = |id: &ObjectId| {
            let sequence = parts.iter().find_map(|part| match &part.definition {
                Definition::Sequence(sequence)
                    if sequence.owned_by.is_some_and(|(_, owner)| owner == position) =>
                {
                    Some(sequence)
                }
                _ => None,
            });
            let _ = id;
            sequence.map(generation::sequence_options_sql).unwrap_or_default()
        };
        shown.push(column_sql(column, default, table.generation(position), sequence));
    }
    for constraint in &table.constraints {
        let definition = tidemill_catalog::constraint::definition_sql(&table.desc, constraint);
        shown.push(format!("CONSTRAINT {} {definition}", quote_identifier(&constraint.name)));
    }
    let history = table.retain_history.map_or_else(String::new, |millis| {
        format!(" WITH (RETAIN HISTORY = FOR '{}')", span_text(millis))
    });
    format!("CREATE TABLE {name} ({}){history}", shown.join(", "))
}

/// A column as CREATE TABLE writes it.
fn column_sql(
    column: &Column,
    default: Option<&str>,
    generation: Option<&Generation>,
    sequence: impl Fn(&ObjectId) -> String,
) -> String {
    let name = quote_identifier(&column.name);
    let mut text = match generation {
        Some(Generation::Serial(_)) => format!("{name} {}", serial_name(&column.typ)),
        _ => format!("{name} {}", types::data_type_sql(&column.typ)),
    };
    let implied = matches!(generation, Some(Generation::Serial(_) | Generation::Identity { .. }));
    if !column.typ.nullable && !implied {
        text.push_str(" NOT NULL");
    }
    match (generation, default) {
        (None, Some(default)) => {
            text.push_str(" DEFAULT ");
            text.push_str(default);
        }
        (Some(Generation::Identity { always, sequence: id }), _) => {
            let when = if *always { "ALWAYS" } else { "BY DEFAULT" };
            text.push_str(&format!(" GENERATED {when} AS IDENTITY"));
            let options = sequence(id);
            if !options.is_empty() {
                text.push_str(&format!(" ({options})"));
            }
        }
        (Some(Generation::Stored(expr)), _) => {
            text.push_str(&format!(" GENERATED ALWAYS AS ({expr}) STORED"));
        }
        _ => {}
    }
    text
}

fn serial_name(typ: &ColumnType) -> &'static str {
    match typ.scalar_type {
        ScalarType::Int2 => "smallserial",
        ScalarType::Int4 => "serial",
        _ => "bigserial",
    }
}
