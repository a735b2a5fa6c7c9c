//! COPY .. TO STDOUT, COPY .. FROM STDIN.

mod options;

use sqlparser::ast::{Expr, Ident, ObjectName};
use tidemill_catalog::{Generation, ItemKind};
use tidemill_plan::{Finishing, QueryExpr, RelationType};
use tidemill_repr::{Column, RelationDesc, SqlError, SqlState};

use super::select::get;
use super::table::duplicate_column;
use super::{Planning, command, rows};
use crate::ast::{Copy, CopyEnd, CopySource};
use crate::names;
use crate::plan::{CopyFromPlan, CopyPlan, InsertPlan, Plan, Planned, SelectPlan};
use crate::query;

impl Planning<'_> {
    pub(super) fn copy(&self, statement: &Copy) -> Result<Planned, SqlError> {
        check_end(statement)?;
        let mut given = options::read(statement)?;
        if statement.from {
            let CopySource::Table(name, columns) = &statement.source else {
                return Err(SqlError::internal("COPY FROM without table"));
            };
            return self.copy_from(name, columns, statement.filter.as_ref(), given);
        }
        let source = match &statement.source {
            CopySource::Subscribe(subscribe) => self.subscribe(subscribe)?,
            CopySource::Query(query) => self.select(query)?,
            CopySource::Table(name, columns) => self.copy_table(name, columns)?,
        };
        let desc = source.desc.unwrap_or_default();
        given.place(&desc.columns)?;
        let options = given.options;
        let plan = Plan::Copy(CopyPlan { source: Box::new(source.plan), options });
        Ok(rows(plan, source.parameters, desc))
    }

    fn copy_from(
        &self,
        name: &ObjectName,
        columns: &[Ident],
        filter: Option<&Expr>,
        mut given: options::Given,
    ) -> Result<Planned, SqlError> {
        let session = self.planner.session;
        let item = self.planner.catalog.resolve_item(
            session.database,
            session.search_path,
            &names::parts(name)?,
        )?;
        if item.kind() != ItemKind::Table {
            let (kind, name) = (item.kind(), &item.name.item);
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot copy to {kind} \"{name}\""),
            ));
        }
        let target = self.target(name, "copy to", None)?;
        let desc = &target.table.desc;
        let mut positions = positions(columns, desc, &target.item.name.item)?;
        // What is generated does not come with the data.
        let stored =
            |index: &usize| matches!(target.table.generation(*index), Some(Generation::Stored(_)));
        if columns.is_empty() {
            positions.retain(|index| !stored(index));
        } else if let Some(index) = positions.iter().find(|index| stored(index)) {
            let name = &desc.columns[*index].name;
            return Err(SqlError::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                format!("column \"{name}\" is a generated column"),
            )
            .with_detail("Generated columns cannot be used in COPY."));
        }
        let columns: Vec<Column> =
            positions.iter().filter_map(|index| desc.columns.get(*index).cloned()).collect();
        given.place(&columns)?;
        let context = self.context();
        let types = columns.iter().map(|column| column.typ.clone().nullable(true)).collect();
        let constant = QueryExpr::Constant { rows: Vec::new(), typ: RelationType::new(types) };
        let direct = filter.is_none() && positions.len() == desc.arity() && positions.is_sorted();
        let query = self.in_table_order(&context, constant, &positions, &[], &target)?;
        let mut query = target.with_stored(self, query, 0)?;
        if let Some(filter) = filter {
            let scope = target.scope();
            let predicate = query::plan_condition(&context, &scope, filter, "WHERE")?;
            query = QueryExpr::Filter { input: Box::new(query), predicates: vec![predicate] };
        }
        let insert = InsertPlan {
            table: target.item.id,
            query,
            check: self.row_check(&target)?,
            conflict: None,
            returning: None,
        };
        let plan = CopyFromPlan { insert, columns, direct, options: given.options };
        Ok(command(Plan::CopyFrom(Box::new(plan))))
    }

    fn copy_table(&self, name: &ObjectName, columns: &[Ident]) -> Result<Planned, SqlError> {
        let session = self.planner.session;
        let item = self.planner.catalog.resolve_relation(
            session.database,
            session.search_path,
            &names::parts(name)?,
        )?;
        let all = item.desc().cloned().unwrap_or_default();
        let project = positions(columns, &all, &item.name.item)?;
        let desc = RelationDesc {
            columns: project.iter().filter_map(|index| all.columns.get(*index).cloned()).collect(),
            ..RelationDesc::default()
        };
        let query = get(item.id, &all);
        let finishing = Finishing { project, ..Finishing::default() };
        let plan = SelectPlan {
            query,
            desc: desc.clone(),
            finishing,
            as_of: None,
            set_config: Vec::new(),
        };
        Ok(rows(Plan::Select(plan), Vec::new(), desc))
    }
}

/// Files and programs are the server's: only its owner should reach them.
fn check_end(statement: &Copy) -> Result<(), SqlError> {
    let what = match (&statement.end, statement.from) {
        (CopyEnd::Client, _) => return Ok(()),
        (CopyEnd::File, true) => "from a file",
        (CopyEnd::File, false) => "to a file",
        (CopyEnd::Program, _) => "to or from an external program",
    };
    Err(SqlError::new(
        SqlState::INSUFFICIENT_PRIVILEGE,
        format!("permission denied to COPY {what}"),
    )
    .with_hint(
        "Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone.",
    ))
}

/// The positions of the columns that are named; all if none are.
fn positions(
    columns: &[Ident],
    desc: &RelationDesc,
    relation: &str,
) -> Result<Vec<usize>, SqlError> {
    if columns.is_empty() {
        return Ok((0..desc.arity()).collect());
    }
    let mut positions = Vec::with_capacity(columns.len());
    for column in columns {
        let position =
            desc.position(&column.value).ok_or_else(|| no_column(&column.value, relation))?;
        if positions.contains(&position) {
            return Err(duplicate_column(&column.value));
        }
        positions.push(position);
    }
    Ok(positions)
}

/// The error for a column that a relation has not.
pub(super) fn no_column(column: &str, relation: &str) -> SqlError {
    SqlError::new(
        SqlState::UNDEFINED_COLUMN,
        format!("column \"{column}\" of relation \"{relation}\" does not exist"),
    )
}
