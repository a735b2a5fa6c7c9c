//! Texts of objects over a relation whose columns are otherwise now: they go on to mean what
//! they meant.
//!
//! Where a text could tell the difference, it reads the relation through a query that gives the
//! columns of before under the names of before.

use std::ops::ControlFlow;

use sqlparser::ast::{
    ObjectName, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias,
    TableFactor, TableWithJoins, Visit, VisitMut, Visitor, VisitorMut,
};
use tidemill_catalog::name::quote_identifier;
use tidemill_catalog::{Definition, Item};
use tidemill_repr::{RelationDesc, SqlError, SqlState};

use super::actions::rename_in;
use crate::ast::{CreateView, Statement, query_text};
use crate::names;
use crate::parse::parse;
use crate::statements::index::key_part_sql;

fn single(text: &str) -> Result<Statement, SqlError> {
    let mut parsed = parse(text)?;
    match (parsed.pop(), parsed.pop()) {
        (Some(only), None) => Ok(only.statement),
        _ => Err(SqlError::internal("a definition that is not one statement")),
    }
}

fn create_view(item: &Item) -> Result<CreateView, SqlError> {
    match single(&item.create_sql)? {
        Statement::CreateView(create) => Ok(create),
        _ => Err(SqlError::internal("a view whose text is no CREATE VIEW")),
    }
}

/// The columns of a relation.
pub(super) fn desc_mut(item: &mut Item) -> Option<&mut RelationDesc> {
    match &mut item.definition {
        Definition::Table(table) => Some(&mut table.desc),
        Definition::View(view) => Some(&mut view.desc),
        Definition::MaterializedView(materialized) => Some(&mut materialized.view.desc),
        _ => None,
    }
}

/// A view one column of which has another name.
pub(super) fn view_with_column(item: &Item, from: &str, to: &str) -> Result<Item, SqlError> {
    let mut new = item.clone();
    let desc = desc_mut(&mut new).ok_or_else(|| SqlError::internal("a view without columns"))?;
    let Some(position) = desc.position(from) else {
        return Err(SqlError::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{from}\" does not exist"),
        ));
    };
    if desc.position(to).is_some() {
        return Err(SqlError::new(
            SqlState::DUPLICATE_COLUMN,
            format!("column \"{to}\" of relation \"{}\" already exists", item.name.item),
        ));
    }
    to.clone_into(&mut desc.columns[position].name);
    let columns = desc.columns.iter().map(|column| names::ident(&column.name)).collect();
    new.create_sql = CreateView { columns, ..create_view(item)? }.to_string();
    Ok(new)
}

/// An index over a relation whose columns have other names.
pub(super) fn index(
    item: &Item,
    old: &Item,
    new: &Item,
    positions: &[Option<usize>],
) -> Result<Item, SqlError> {
    let (Some(before), Some(after)) = (old.desc(), new.desc()) else { return Ok(item.clone()) };
    let Statement::CreateIndex(mut create) = single(&item.create_sql)? else {
        return Err(SqlError::internal("an index whose text is no CREATE INDEX"));
    };
    let mut result = item.clone();
    for (column, position) in before.columns.iter().zip(positions) {
        let Some(new) = position.and_then(|position| after.columns.get(position)) else { continue };
        if new.name != column.name {
            let key = create.key.iter_mut().flatten();
            key.for_each(|part| rename_in(part, &column.name, &new.name));
        }
    }
    let Definition::Index(index) = &mut result.definition else { return Ok(result) };
    index.key_sql = create.key.iter().flatten().map(key_part_sql).collect();
    index.key = Vec::new();
    result.create_sql = create.to_string();
    Ok(result)
}

/// Whether a view's text takes all columns of a relation, whatever they are.
pub(super) fn takes_all(item: &Item, relation: &Item) -> Result<bool, SqlError> {
    let create = create_view(item)?;
    let mut finder = TakesAll { relation: names::object_name(&relation.name), by_position: false };
    Ok(Visit::visit(&create.query, &mut finder).is_break())
}

struct TakesAll {
    relation: ObjectName,
    by_position: bool,
}

impl TakesAll {
    /// The names under which a FROM item gives the relation.
    fn known_as(&mut self, from: &TableWithJoins, found: &mut Vec<String>) {
        let joined = from.joins.iter().map(|join| &join.relation);
        for factor in std::iter::once(&from.relation).chain(joined) {
            match factor {
                TableFactor::Table { name, alias, args: None, .. }
                    if names::parts(name).ok() == names::parts(&self.relation).ok() =>
                {
                    // Names that are given by position are for all of them.
                    self.by_position |= alias.as_ref().is_some_and(|a| !a.columns.is_empty());
                    let alias = alias.as_ref().map(|alias| alias.name.value.clone());
                    let last = || names::parts(name).ok().and_then(|mut parts| parts.pop());
                    found.extend(alias.or_else(last));
                }
                TableFactor::NestedJoin { table_with_joins, .. } => {
                    self.known_as(table_with_joins, found);
                }
                _ => {}
            }
        }
    }
}

impl Visitor for TakesAll {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let mut known = Vec::new();
        select.from.iter().for_each(|from| self.known_as(from, &mut known));
        if known.is_empty() {
            return ControlFlow::Continue(());
        }
        // Which columns NATURAL joins by depends on all of them.
        let natural = select
            .from
            .iter()
            .flat_map(|from| &from.joins)
            .any(|join| format!("{:?}", join.join_operator).contains("Natural"));
        let all = self.by_position
            || natural
            || select.projection.iter().any(|item| match item {
                SelectItem::Wildcard(_) => true,
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    _,
                ) => {
                    let last = names::parts(name).ok().and_then(|mut parts| parts.pop());
                    last.is_some_and(|last| known.contains(&last))
                }
                SelectItem::QualifiedWildcard(..) => true,
                _ => false,
            });
        if all { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// A view that reads a relation through the columns that it had, as far as they are wanted.
pub(super) fn over_old_columns(
    item: &Item,
    old: &Item,
    new: &Item,
    positions: &[Option<usize>],
    wanted: &[bool],
) -> Result<Item, SqlError> {
    let (Some(before), Some(after)) = (old.desc(), new.desc()) else { return Ok(item.clone()) };
    let columns: Vec<String> = before
        .columns
        .iter()
        .zip(positions)
        .zip(wanted)
        .filter(|(_, wanted)| **wanted)
        .filter_map(|((column, position), _)| {
            let new = after.columns.get((*position)?)?;
            let (from, to) = (quote_identifier(&new.name), quote_identifier(&column.name));
            Some(if from == to { from } else { format!("{from} AS {to}") })
        })
        .collect();
    let text = format!("SELECT * FROM (SELECT {} FROM {}) AS x", columns.join(", "), new.name);
    let Statement::Query(statement) = single(&text)? else {
        return Err(SqlError::internal("a query that is none"));
    };
    let SetExpr::Select(select) = *statement.query.body else {
        return Err(SqlError::internal("a query that is none"));
    };
    let Some(with) = select.from.into_iter().next() else {
        return Err(SqlError::internal("a query without FROM"));
    };
    let mut replace = Replace {
        relation: names::object_name(&old.name),
        alias: old.name.item.clone(),
        with: with.relation,
    };
    let mut create = create_view(item)?;
    let _ = VisitMut::visit(&mut create.query, &mut replace);
    let query_sql = query_text(&create.query);
    let mut result = item.clone();
    match &mut result.definition {
        Definition::View(view) => view.query_sql = query_sql,
        Definition::MaterializedView(materialized) => materialized.view.query_sql = query_sql,
        _ => {}
    }
    result.create_sql = create.to_string();
    Ok(result)
}

/// Puts a query in the place of a relation; all else knows it by the name it had.
struct Replace {
    relation: ObjectName,
    alias: String,
    with: TableFactor,
}

impl VisitorMut for Replace {
    type Break = ();

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, args: None, .. } = factor else {
            return ControlFlow::Continue(());
        };
        if names::parts(name).ok() != names::parts(&self.relation).ok() {
            return ControlFlow::Continue(());
        }
        let known = alias.take().unwrap_or_else(|| TableAlias {
            explicit: true,
            name: names::ident(&self.alias),
            columns: Vec::new(),
            at: None,
        });
        *factor = self.with.clone();
        if let TableFactor::Derived { alias, .. } = factor {
            *alias = Some(known);
        }
        ControlFlow::Continue(())
    }
}
