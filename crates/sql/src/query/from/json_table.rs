//! `JSON_TABLE`: rows out of json, as a query of what there is already.
//!
//! ```text
//! JSON_TABLE(x, p COLUMNS (a int, NESTED q COLUMNS (b int)))
//! SELECT t0.a, t1.b FROM LATERAL (
//!   SELECT JSON_VALUE(t0.item, '$.a' RETURNING int) AS a, t1.b
//!   FROM sql_json_items(x, p, '{}', false) WITH ORDINALITY AS t0 (item, row)
//!   LEFT JOIN LATERAL (SELECT JSON_VALUE(t1.item, ..) AS b
//!     FROM sql_json_items(t0.item, q, ..) ..) AS t1 ON true)
//! ```
//!
//! Several nested paths side by side are a UNION ALL.

use std::fmt::Write;
use std::rc::Rc;

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, TableAlias, Value};
use sqlparser::tokenizer::Span;
use tidemill_catalog::name::quote_identifier;
use tidemill_expr::functions::jsonpath::Wrapper;
use tidemill_repr::{ScalarType, SqlError, SqlState};

use super::{Item, plan_derived};
use crate::ast::{Statement, expr_text};
use crate::parse::parse;
use crate::query::QueryContext;
use crate::query::error::name_of;
use crate::query::expr::sql_json::{Behavior, Clauses, clauses};
use crate::query::scope::Scope;
use crate::types::parse_data_type_text;

/// How deep paths may be nested.
const DEPTH_LIMIT: usize = 50;

/// A column of the result: its name, its type, and the number of its level's table.
struct Column {
    name: String,
    typ: String,
    value: String,
}

/// Writes the query.
struct Writer<'c> {
    ctx: &'c QueryContext<'c>,
    /// The variables of paths.
    passing: String,
    /// Whether an error of a path is one of the query.
    errors: bool,
    tables: usize,
}

/// A level: its columns in the order of their names, and its FROM.
struct Level {
    /// Each with what it is in this level's query.
    columns: Vec<Column>,
    from: String,
}

fn syntax(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}

/// Plans a JSON_TABLE.
pub(super) fn plan_json_table(
    ctx: &QueryContext<'_>,
    arguments: &[FunctionArg],
    alias: Option<&TableAlias>,
    span: Span,
    around: &Rc<Scope>,
) -> Result<Item, SqlError> {
    let text = query_text(ctx, arguments).map_err(|error| ctx.locate(error, span))?;
    let mut statements = parse(&text).map_err(|error| SqlError { position: None, ..error })?;
    let Some(Statement::Query(statement)) = statements.pop().map(|one| one.statement) else {
        return Err(SqlError::internal("a rewritten query that cannot be read"));
    };
    let mut item = plan_derived(ctx, &statement.query, alias, &around.entered())
        .map_err(|error| ctx.locate(SqlError { position: None, ..error }, span))?;
    if alias.is_none() {
        for table in &mut item.scope.tables {
            table.covered = false;
            "json_table".clone_into(&mut table.name);
        }
    }
    Ok(item)
}

fn query_text(ctx: &QueryContext<'_>, arguments: &[FunctionArg]) -> Result<String, SqlError> {
    let [
        FunctionArg::Unnamed(FunctionArgExpr::Expr(json)),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(path)),
    ] = arguments
    else {
        return Err(syntax("JSON_TABLE takes a value, a path and COLUMNS"));
    };
    let (json, _) = clauses(json)?;
    let (path, found) = clauses(path)?;
    let errors = match found.on_error {
        None | Some(Behavior::EmptyArray) => false,
        Some(Behavior::Error) => true,
        Some(_) => {
            return Err(syntax("invalid ON ERROR behavior").with_detail(
                "Only EMPTY [ ARRAY ] or ERROR is allowed in the top-level ON ERROR clause.",
            ));
        }
    };
    let mut passing = String::new();
    for (name, value) in &found.passing {
        let comma = if passing.is_empty() { " PASSING " } else { ", " };
        let _ = write!(passing, "{comma}{} AS {}", expr_text(value), quote_identifier(name));
    }
    let mut writer = Writer { ctx, passing, errors, tables: 0 };
    let level = writer.level(&expr_text(json), path, &found, 0)?;
    let mut names: Vec<&str> = Vec::new();
    for column in &level.columns {
        if names.contains(&column.name.as_str()) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_ALIAS,
                format!("duplicate JSON_TABLE column or path name: {}", column.name),
            ));
        }
        names.push(&column.name);
    }
    let outputs: Vec<String> = level
        .columns
        .iter()
        .map(|column| format!("{} AS {}", column.value, quote_identifier(&column.name)))
        .collect();
    Ok(format!("SELECT {} FROM {}", outputs.join(", "), level.from))
}

fn is_constant(path: &Expr) -> bool {
    matches!(path, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}

impl Writer<'_> {
    fn level(
        &mut self,
        json: &str,
        path: &Expr,
        found: &Clauses<'_>,
        depth: usize,
    ) -> Result<Level, SqlError> {
        if depth > DEPTH_LIMIT {
            return Err(SqlError::new(
                SqlState::STATEMENT_TOO_COMPLEX,
                "stack depth limit exceeded",
            )
            .with_hint("Nest fewer paths."));
        }
        if !is_constant(path) {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "only string constants are supported in JSON_TABLE path specification",
            ));
        }
        let Some(columns) = found.columns else {
            return Err(syntax("JSON_TABLE needs COLUMNS"));
        };
        let table = format!("t{}", self.tables);
        self.tables += 1;
        let variables = match self.passing.is_empty() {
            true => "'{}'::jsonb".to_owned(),
            false => self.variables(found, depth),
        };
        let mut from = format!(
            "sql_json_items(({json})::jsonb, {}::jsonpath, {variables}, {}) WITH ORDINALITY AS \
             {table} (item, place)",
            expr_text(path),
            self.errors,
        );
        let mut level = Vec::new();
        let mut nested: Vec<Level> = Vec::new();
        for column in columns {
            let Expr::Prefixed { prefix, value } = column_head(column) else {
                return Err(SqlError::internal("a column of JSON_TABLE without a name"));
            };
            if prefix.quote_style.is_none() && prefix.value == "NESTED PATH" {
                let (path, found) = clauses(value)?;
                let inner = self.level(&format!("{table}.item"), path, &found, depth + 1)?;
                nested.push(inner);
                continue;
            }
            let (_, found) = clauses(column)?;
            level.push(self.column(&table, name_of(prefix), value, &found)?);
        }
        if !nested.is_empty() {
            let (place, joined) = (format!("t{}", self.tables), self.union(&nested));
            self.tables += 1;
            let _ = write!(from, " LEFT JOIN LATERAL ({joined}) AS {place} ON true");
            // As in PostgreSQL they stand behind the level's own columns.
            let columns = nested.into_iter().flat_map(|inner| inner.columns);
            level.extend(
                columns.enumerate().map(|(number, column)| Column {
                    value: format!("{place}.c{number}"),
                    ..column
                }),
            );
        }
        Ok(Level { columns: level, from })
    }

    fn variables(&self, found: &Clauses<'_>, depth: usize) -> String {
        let pairs: Vec<String> = match depth {
            0 => found
                .passing
                .iter()
                .map(|(name, value)| {
                    let (plain, format) = match clauses(value) {
                        Ok((plain, found)) => (plain, found.format),
                        Err(_) => (*value, false),
                    };
                    let cast = if format { "::jsonb" } else { "" };
                    let name = tidemill_catalog::name::quote_literal(name);
                    format!("{name}, ({}){cast}", expr_text(plain))
                })
                .collect(),
            _ => Vec::new(),
        };
        match pairs.is_empty() {
            true => "'{}'::jsonb".to_owned(),
            false => format!("jsonb_build_object({})", pairs.join(", ")),
        }
    }

    /// The rows of the nested paths, each with NULL in the columns of the others.
    fn union(&self, nested: &[Level]) -> String {
        let mut branches = Vec::new();
        for (at, own) in nested.iter().enumerate() {
            let mut outputs = Vec::new();
            for (other, level) in nested.iter().enumerate() {
                for column in &level.columns {
                    let value = match at == other {
                        true => column.value.clone(),
                        false => format!("NULL::{}", column.typ),
                    };
                    outputs.push(format!("{value} AS c{}", outputs.len()));
                }
            }
            branches.push(format!("SELECT {} FROM {}", outputs.join(", "), own.from));
        }
        branches.join(" UNION ALL ")
    }

    fn column(
        &self,
        table: &str,
        name: String,
        typ: &Expr,
        found: &Clauses<'_>,
    ) -> Result<Column, SqlError> {
        let Expr::Identifier(typ) = typ else {
            return Err(SqlError::internal("a column of JSON_TABLE without a type"));
        };
        if typ.value == "FOR ORDINALITY" {
            let value = format!("({table}.place)::int4");
            return Ok(Column { name, typ: "int4".to_owned(), value });
        }
        let typ = typ.value.clone();
        let Some(path) = found.path else {
            return Err(SqlError::internal("a column of JSON_TABLE without a path"));
        };
        let path = format!("{}{}", expr_text(path), self.passing);
        let on_error = match (&found.on_error, self.errors) {
            (None, true) => " ERROR ON ERROR".to_owned(),
            (behavior, _) => behavior_text(behavior.as_ref(), "ERROR"),
        };
        let on_empty = behavior_text(found.on_empty.as_ref(), "EMPTY");
        if found.exists {
            let value = format!("JSON_EXISTS({table}.item, {path}{on_error})");
            let value = match self.scalar_type(&typ)? {
                ScalarType::Bool => value,
                ScalarType::Int4 => format!("({value})::int4"),
                _ => format!("(({value})::text)::{typ}"),
            };
            return Ok(Column { name, typ, value });
        }
        let formatted = found.format
            || found.wrapper.is_some()
            || found.omit_quotes.is_some()
            || matches!(
                self.scalar_type(&typ)?,
                ScalarType::Json
                    | ScalarType::Jsonb
                    | ScalarType::Array(_)
                    | ScalarType::Composite(_)
                    | ScalarType::Record(_)
            );
        let value = match formatted {
            true => {
                let wrapper = match found.wrapper {
                    None => "",
                    Some(Wrapper::Without) => " WITHOUT WRAPPER",
                    Some(Wrapper::Conditional) => " WITH CONDITIONAL WRAPPER",
                    Some(Wrapper::Unconditional) => " WITH WRAPPER",
                };
                let quotes = match found.omit_quotes {
                    None => "",
                    Some(true) => " OMIT QUOTES",
                    Some(false) => " KEEP QUOTES",
                };
                format!(
                    "JSON_QUERY({table}.item, {path} RETURNING \
                     {typ}{wrapper}{quotes}{on_empty}{on_error})"
                )
            }
            false => {
                format!("JSON_VALUE({table}.item, {path} RETURNING {typ}{on_empty}{on_error})")
            }
        };
        Ok(Column { name, typ, value })
    }

    fn scalar_type(&self, text: &str) -> Result<ScalarType, SqlError> {
        let typ = self.ctx.data_type(&parse_data_type_text(text)?)?;
        Ok(typ.scalar_type.base().clone())
    }
}

/// The name and type of a column, under its clauses.
fn column_head(mut column: &Expr) -> &Expr {
    while let Expr::BinaryOp { left, .. } = column {
        column = left;
    }
    column
}

fn behavior_text(behavior: Option<&Behavior<'_>>, place: &str) -> String {
    let Some(behavior) = behavior else { return String::new() };
    let what = match behavior {
        Behavior::Null => "NULL".to_owned(),
        Behavior::Error => "ERROR".to_owned(),
        Behavior::True => "TRUE".to_owned(),
        Behavior::False => "FALSE".to_owned(),
        Behavior::Unknown => "UNKNOWN".to_owned(),
        Behavior::EmptyArray => "EMPTY ARRAY".to_owned(),
        Behavior::EmptyObject => "EMPTY OBJECT".to_owned(),
        Behavior::Default(expr) => format!("DEFAULT ({})", expr_text(expr)),
    };
    format!(" {what} ON {place}")
}
