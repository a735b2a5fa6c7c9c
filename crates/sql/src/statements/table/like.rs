//! Tables made like others: `CREATE TABLE (LIKE t)`, `CREATE TABLE AS`, `SELECT INTO`.

use sqlparser::ast::{Expr, ObjectName, SetExpr};
use tidemill_catalog::{ConstraintKind, Generation, ItemKind, QualifiedName};
use tidemill_repr::{ColumnType, ScalarType, SqlError, SqlState};

use super::build::{KeyColumns, NewCheck, NewKey, NewTable};
use super::generation::NewGeneration;
use super::{duplicate_column, too_many_columns};
use crate::ast::{CreateTable, CreateTableAs, LikeTable, QueryStatement, SequenceOption};
use crate::plan::{FirstRows, Plan, Planned};
use crate::query;
use crate::statements::{Planning, command};

/// What can be taken from another table beside its columns.
const PARTS: &[&str] = &["DEFAULTS", "CONSTRAINTS", "INDEXES", "IDENTITY", "GENERATED"];

/// What Tidemill's tables do not have.
const ABSENT: &[&str] = &["COMMENTS", "COMPRESSION", "STATISTICS", "STORAGE"];

impl Planning<'_> {
    /// The columns of another relation, and what else is asked for.
    pub(super) fn take_columns(
        &self,
        table: &mut NewTable,
        like: &LikeTable,
    ) -> Result<(), SqlError> {
        let mut taken: Vec<&str> = Vec::new();
        for (including, what) in &like.options {
            let named: Vec<&str> = match what.as_str() {
                "ALL" => PARTS.to_vec(),
                what if ABSENT.contains(&what) => Vec::new(),
                what => PARTS.iter().copied().filter(|part| *part == what).collect(),
            };
            if named.is_empty() && !ABSENT.contains(&what.as_str()) {
                let message = format!("syntax error at or near \"{}\"", what.to_lowercase());
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
            }
            taken.retain(|part| !named.contains(part));
            if *including {
                taken.extend(named);
            }
        }
        let kinds = [ItemKind::Table, ItemKind::View, ItemKind::MaterializedView];
        let item = self.item(&like.name, &kinds)?;
        let desc = item.desc().ok_or_else(|| SqlError::internal("a relation without columns"))?;
        let model = item.table();
        let base = table.desc.arity();
        for (position, column) in desc.columns.iter().enumerate() {
            if table.desc.position(&column.name).is_some() {
                return Err(duplicate_column(&column.name));
            }
            let mut default = None;
            let mut generation = None;
            if let Some(model) = model {
                match model.generation(position) {
                    Some(Generation::Stored(expr)) if taken.contains(&"GENERATED") => {
                        generation = Some(NewGeneration::Stored(expr_of(expr)?));
                    }
                    Some(Generation::Identity { always, sequence })
                        if taken.contains(&"IDENTITY") =>
                    {
                        let options = self.sequence_options(*sequence);
                        generation = Some(NewGeneration::Identity { always: *always, options });
                    }
                    Some(Generation::Serial(sequence)) if taken.contains(&"DEFAULTS") => {
                        // The same sequence, which must stay while this table is there.
                        let sequence = self.planner.catalog.item(*sequence);
                        if let Some(sequence) = sequence {
                            table.depends_on.push(sequence.id);
                            let name = sequence.name.to_string().replace('\'', "''");
                            default = Some(format!("nextval('{name}'::regclass)"));
                        }
                    }
                    Some(_) => {}
                    None if taken.contains(&"DEFAULTS") => {
                        default = model.defaults.get(position).cloned().flatten();
                    }
                    None => {}
                }
            }
            let mut column = column.clone();
            column.typ.nullable |= model.is_none();
            table.desc.columns.push(column);
            table.defaults.push(default);
            table.generation.push(generation);
        }
        for constraint in model.into_iter().flat_map(|model| &model.constraints) {
            match &constraint.kind {
                ConstraintKind::Check { expr } if taken.contains(&"CONSTRAINTS") => {
                    let name = Some(constraint.name.clone());
                    table.checks.push(NewCheck { name, expr: expr_of(expr)? });
                }
                ConstraintKind::Key { key, .. } if taken.contains(&"INDEXES") => {
                    let names = key.columns.iter().map(|column| base + column);
                    let names = names.map(|column| table.desc.columns[column].name.clone());
                    table.keys.push(NewKey {
                        name: None,
                        columns: KeyColumns::Names(names.collect()),
                        primary: key.primary,
                        nulls_not_distinct: key.nulls_not_distinct,
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn sequence_options(&self, sequence: tidemill_repr::ObjectId) -> Vec<SequenceOption> {
        let item = self.planner.catalog.item(sequence);
        let Some(sequence) = item.and_then(|item| item.sequence()) else { return Vec::new() };
        vec![
            SequenceOption::Increment(sequence.increment),
            SequenceOption::Min(Some(sequence.min)),
            SequenceOption::Max(Some(sequence.max)),
            SequenceOption::Start(sequence.start),
            SequenceOption::Cycle(sequence.cycle),
        ]
    }

    pub(super) fn create_table_as(
        &self,
        name: QualifiedName,
        created: &CreateTableAs,
    ) -> Result<Planned, SqlError> {
        let context = self.context();
        let (query, desc) = query::plan_view_query(&context, &created.query)?;
        let parameters = context.parameter_types()?;
        if created.columns.len() > desc.arity() {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "too many column names were specified",
            ));
        }
        if desc.arity() > super::MAX_COLUMNS {
            return Err(too_many_columns());
        }
        let mut table = NewTable::new(name);
        for (position, column) in desc.columns.into_iter().enumerate() {
            let mut column = column;
            if let Some(given) = created.columns.get(position) {
                column.name.clone_from(&given.value);
            }
            if table.desc.position(&column.name).is_some() {
                return Err(duplicate_column(&column.name));
            }
            if column.typ.scalar_type == ScalarType::Unknown {
                column.typ = ColumnType::new(ScalarType::Text);
            }
            column.typ.nullable = true;
            table.desc.columns.push(column);
            table.defaults.push(None);
            table.generation.push(None);
        }
        let mut plan = self.finish_table(table)?;
        let tag = if created.select_into { "SELECT INTO" } else { "CREATE TABLE AS" };
        plan.rows = Some(FirstRows { query: created.with_data.then_some(query), tag });
        Ok(Planned { parameters, ..command(Plan::CreateTable(Box::new(plan))) })
    }

    /// `SELECT .. INTO t`, as CREATE TABLE AS. None for other queries.
    pub(in crate::statements) fn select_into(
        &self,
        statement: &QueryStatement,
    ) -> Option<Result<Planned, SqlError>> {
        let SetExpr::Select(select) = statement.query.body.as_ref() else { return None };
        let into = select.into.as_ref()?;
        let parts = match into.targets.as_slice() {
            [Expr::Identifier(ident)] => vec![ident.clone()],
            [Expr::CompoundIdentifier(parts)] => parts.clone(),
            _ => return Some(Err(SqlError::unsupported("this form of SELECT INTO"))),
        };
        let name = ObjectName::from(parts);
        if into.temporary || into.unlogged {
            return Some(Err(SqlError::unsupported("SELECT INTO of a temporary table")));
        }
        if statement.as_of.is_some() {
            return Some(Err(SqlError::unsupported("SELECT INTO with AS OF")));
        }
        let mut query = statement.query.clone();
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.into = None;
        }
        let created =
            CreateTableAs { columns: Vec::new(), query, with_data: true, select_into: true };
        Some(self.create_table(&CreateTable {
            temporary: false,
            if_not_exists: false,
            name,
            columns: Vec::new(),
            constraints: Vec::new(),
            on_commit: None,
            likes: Vec::new(),
            query: Some(created),
            with: Vec::new(),
        }))
    }
}

/// An expression from the text that the catalog keeps.
pub(in crate::statements) fn expr_of(text: &str) -> Result<Expr, SqlError> {
    crate::parse::expression(text)
}
