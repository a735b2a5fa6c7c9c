//! WITH around statements that write: `WITH x AS (INSERT .. RETURNING ..) SELECT ..`,
//! `WITH x AS (SELECT ..) DELETE ..`.
//!
//! All parts see the tables as they were before the statement; what a part returns is all that
//! others know of its work. So each part is a plan of its own. The queries of the WITH that a part
//! reads are bound around its query; one that writes is there as a constant without rows, which
//! the session replaces by what was returned.

use std::collections::BTreeSet;

use sqlparser::ast::{Cte, Delete, Insert, Query, SetExpr, Statement as Standard, Update, With};
use tidemill_plan::{LocalId, QueryExpr};
use tidemill_repr::{ObjectId, ScalarType, SqlError, SqlState};

use crate::ast::QueryStatement;
use crate::plan::{Plan, Planned, RowProgram, WithWritesPlan, WritePart};
use crate::query::{self, WithList};
use crate::statements::Planning;

/// A part of the statement that writes.
enum Write<'q> {
    Insert(&'q Insert),
    Update(&'q Update),
    Delete(&'q Delete),
}

/// What a body writes; None if it is a query.
fn write_of(body: &SetExpr) -> Result<Option<Write<'_>>, SqlError> {
    let (SetExpr::Insert(statement)
    | SetExpr::Update(statement)
    | SetExpr::Delete(statement)
    | SetExpr::Merge(statement)) = body
    else {
        return Ok(None);
    };
    Ok(Some(match statement {
        Standard::Insert(insert) => Write::Insert(insert),
        Standard::Update(update) => Write::Update(update),
        Standard::Delete(delete) => Write::Delete(delete),
        _ => return Err(SqlError::unsupported("MERGE with WITH")),
    }))
}

fn is_write(body: &SetExpr) -> bool {
    matches!(body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_))
}

/// Whether a part of a query writes.
pub(in crate::statements) fn writes(query: &Query) -> bool {
    let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
    is_write(&query.body) || ctes.into_iter().any(|cte| is_write(&cte.query.body))
}

/// The parts that are planned already.
#[derive(Default)]
struct Parts {
    list: WithList,
    writes: Vec<WritePart>,
    tables: BTreeSet<ObjectId>,
    parameters: Vec<Option<ScalarType>>,
}

impl Parts {
    /// Keeps what a part says of the types of parameters.
    fn note(&mut self, parameters: &[ScalarType]) {
        for (at, typ) in parameters.iter().enumerate() {
            if self.parameters.len() <= at {
                self.parameters.push(None);
            }
            if *typ != ScalarType::Unknown
                && let Some(known) = self.parameters.get_mut(at)
            {
                known.get_or_insert_with(|| typ.clone());
            }
        }
    }

    /// Two parts that write to the same rows would not know of each other.
    fn write_to(&mut self, plan: &Plan) -> Result<(), SqlError> {
        let table = match plan {
            Plan::Insert(plan) => plan.table,
            Plan::Update(plan) => plan.table,
            Plan::Delete(plan) => plan.table,
            _ => return Ok(()),
        };
        if self.tables.insert(table) {
            return Ok(());
        }
        Err(SqlError::unsupported("WITH of several statements that write to the same table"))
    }
}

impl Planning<'_> {
    /// A query parts of which write.
    pub(in crate::statements) fn with_writes(
        &self,
        statement: &QueryStatement,
    ) -> Result<Planned, SqlError> {
        let query = &statement.query;
        if statement.as_of.is_some() {
            return Err(SqlError::unsupported("AS OF of a statement that writes"));
        }
        let mut parts = Parts { parameters: self.parameters.to_vec(), ..Parts::default() };
        if let Some(with) = &query.with {
            self.plan_parts(with, &mut parts)?;
        }
        let body = Query { with: None, ..(**query).clone() };
        let main = self.part(&body, &mut parts)?;
        let parameters = parts
            .parameters
            .iter()
            .enumerate()
            .map(|(at, typ)| {
                typ.clone().filter(|typ| *typ != ScalarType::Unknown).ok_or_else(|| {
                    SqlError::new(
                        SqlState::INDETERMINATE_DATATYPE,
                        format!("could not determine data type of parameter ${}", at + 1),
                    )
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let (desc, notices) = (main.desc, main.notices);
        if parts.writes.is_empty() {
            return Ok(Planned { plan: main.plan, parameters, desc, notices });
        }
        let plan = WithWritesPlan { writes: parts.writes, main: main.plan };
        Ok(Planned { plan: Plan::WithWrites(Box::new(plan)), parameters, desc, notices })
    }

    fn plan_parts(&self, with: &With, parts: &mut Parts) -> Result<(), SqlError> {
        let any_writes = with.cte_tables.iter().any(|cte| is_write(&cte.query.body));
        if !any_writes {
            let context = self.within(parts);
            parts.list.add_all(&context, with)?;
            parts.note(&context.known_parameters());
            return Ok(());
        }
        if with.recursive {
            return Err(SqlError::unsupported("WITH RECURSIVE with a statement that writes"));
        }
        query::refuse_duplicates(&self.within(parts), &with.cte_tables)?;
        for cte in &with.cte_tables {
            if is_write(&cte.query.body) {
                self.written_part(cte, parts)?;
            } else {
                let context = self.within(parts);
                parts.list.add(&context, cte)?;
                parts.note(&context.known_parameters());
            }
        }
        Ok(())
    }

    fn written_part(&self, cte: &Cte, parts: &mut Parts) -> Result<(), SqlError> {
        let planned = self.part(&cte.query, parts)?;
        let context = self.within(parts);
        let desc = planned.desc.clone();
        let id = parts.list.add_written(&context, cte, desc.as_ref())?;
        parts.writes.push(WritePart { id, plan: planned.plan });
        Ok(())
    }

    /// One part, with the queries of the WITH before it in sight.
    fn part(&self, query: &Query, parts: &mut Parts) -> Result<Planned, SqlError> {
        let write = write_of(&query.body)?;
        let nested = query
            .with
            .as_ref()
            .is_some_and(|with| with.cte_tables.iter().any(|cte| is_write(&cte.query.body)));
        if nested || (write.is_some() && query.with.is_some()) {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "WITH clause containing a data-modifying statement must be at the top level",
            ));
        }
        let known = parts.parameters.clone();
        let list = parts.list.clone();
        let planning = Planning { parameters: &known, around: Some(&list), ..*self };
        let mut planned = match write {
            Some(Write::Insert(insert)) => planning.insert(insert, None)?,
            Some(Write::Update(update)) => planning.update(update)?,
            Some(Write::Delete(delete)) => planning.delete(delete)?,
            None => {
                let query = Box::new(query.clone());
                planning.select(&QueryStatement { query, as_of: None })?
            }
        };
        parts.list.next_part();
        parts.note(&planned.parameters);
        parts.write_to(&planned.plan)?;
        bind(&list, &mut planned.plan)?;
        Ok(planned)
    }

    /// The context of a part.
    fn within(&self, parts: &Parts) -> query::QueryContext<'_> {
        let mut context = self.planner.query_context(self.text, &parts.parameters);
        context.enter(&parts.list);
        context
    }
}

/// Puts the queries of the WITH around those of a part.
fn bind(list: &WithList, plan: &mut Plan) -> Result<(), SqlError> {
    let put = |query: &mut QueryExpr| {
        let body = std::mem::replace(query, QueryExpr::Union { inputs: Vec::new() });
        *query = list.bind(body);
    };
    let mut programs: Vec<&RowProgram> = Vec::new();
    match plan {
        Plan::Select(select) => put(&mut select.query),
        Plan::Insert(insert) => {
            put(&mut insert.query);
            programs.extend(insert.returning.as_ref().map(|returning| &returning.program));
            programs.extend(insert.conflict.as_ref().and_then(|one| one.update.as_ref()));
        }
        Plan::Update(update) => {
            put(&mut update.query);
            programs.extend(update.returning.as_ref().map(|returning| &returning.program));
        }
        Plan::Delete(delete) => {
            put(&mut delete.query);
            programs.extend(delete.returning.as_ref().map(|returning| &returning.program));
        }
        _ => return Err(SqlError::unsupported("this statement after WITH")),
    }
    let mut scalars =
        programs.into_iter().flat_map(|program| program.filter.iter().chain(&program.scalars));
    if scalars.any(|scalar| list.is_read_by(scalar)) {
        return Err(SqlError::unsupported("a query of WITH in RETURNING or ON CONFLICT"));
    }
    Ok(())
}

/// Puts the rows that a part returned where they are read.
pub fn put_rows(plan: &mut Plan, id: LocalId, rows: &[tidemill_repr::Row]) {
    match plan {
        Plan::Select(select) => query::put_rows(&mut select.query, id, rows),
        Plan::Insert(insert) => query::put_rows(&mut insert.query, id, rows),
        Plan::Update(update) => query::put_rows(&mut update.query, id, rows),
        Plan::Delete(delete) => query::put_rows(&mut delete.query, id, rows),
        _ => {}
    }
}
