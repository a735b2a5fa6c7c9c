//! COPY .. TO STDOUT, COPY .. FROM STDIN.

mod options;

use sqlparser::ast::{Expr, Ident, ObjectName};
use tidemill_catalog::ItemKind;
use tidemill_plan::{Finishing, QueryExpr, RelationType};
use tidemill_repr::{Column, RelationDesc, SqlError, SqlState};

use super::dml::in_table_order;
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
        let positions = positions(columns, desc, &target.item.name.item)?;
        let columns: Vec<Column> =
            positions.iter().filter_map(|index| desc.columns.get(*index).cloned()).collect();
        given.place(&columns)?;
        let context = self.context();
        let types = columns.iter().map(|column| column.typ.clone().nullable(true)).collect();
        let constant = QueryExpr::Constant { rows: Vec::new(), typ: RelationType::new(types) };
        let direct = filter.is_none() && positions.len() == desc.arity() && positions.is_sorted();
        let mut query = in_table_order(&context, constant, &positions, &target)?;
        if let Some(filter) = filter {
            let scope = query::table_scope(desc, &target.alias);
            let predicate = query::plan_condition(&context, &scope, filter, "WHERE")?;
            query = QueryExpr::Filter { input: Box::new(query), predicates: vec![predicate] };
        }
        let insert = InsertPlan { table: target.item.id, query, check: target.check() };
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
            keys: Vec::new(),
        };
        let query = get(item.id, &all);
        let finishing = Finishing { project, ..Finishing::default() };
        let plan = SelectPlan { query, desc: desc.clone(), finishing, as_of: None };
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
