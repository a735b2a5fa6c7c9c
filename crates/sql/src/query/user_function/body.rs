//! Bodies: planned as queries over a row around them, that of the arguments.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::rc::Rc;

use sqlparser::ast::{Expr, Ident, Query, Value, VisitMut, VisitorMut};
use tidemill_catalog::{Function, ParameterType};
use tidemill_expr::CastContext;
use tidemill_plan::QueryScalar;
use tidemill_plan::query::ColumnRef;
use tidemill_repr::{ColumnType, ObjectId, ScalarType, SqlError, SqlState};

use super::{Call, Rows, Shape, first_row, inline};
use crate::ast::Statement;
use crate::parse::parse;
use crate::query::cast::{coerce, coerce_implicit};
use crate::query::expr::field;
use crate::query::order::{self, OutputColumn};
use crate::query::scope::{ARGUMENTS, Entry, Missing, Scope, TableName};
use crate::query::{QueryContext, TypedScalar};

/// Plans the body of a call; of a function that gives one value, its first row.
pub(super) fn plan(ctx: &QueryContext<'_>, call: &Call, single: bool) -> Result<Rows, SqlError> {
    let function = call.function()?;
    let types: Vec<ColumnType> = call.arguments.iter().map(|given| given.typ.clone()).collect();
    let text: String = function.body.replace('\n', " ");
    let child = within(ctx, &text, Some(call.item.depends_on.clone()));
    let rows = ctx.deeper(|| {
        let mut query = read(&text)?;
        plan_rows(&child, call.name(), function, &types, &mut query, &call.shape()?, single)
    });
    ctx.next_local.set(child.next_local.get());
    ctx.set_config.borrow_mut().extend(child.set_config.take());
    rows.map_err(|mut error| {
        // Positions in the body say nothing of the statement.
        error.position = None;
        error
    })
}

/// Plans a body that is to be kept: whether it gives what the function says.
///
/// # Errors
/// It does not (`42P13`), or is wrong in itself.
pub fn check_body(
    ctx: &QueryContext<'_>,
    name: &str,
    function: &Function,
    query: &Query,
) -> Result<(), SqlError> {
    let is = |typ: &ParameterType| match typ {
        ParameterType::Is(typ) => Some(ColumnType::new(typ.clone())),
        ParameterType::Any(_) => None,
    };
    let Some(types) = function.inputs().map(|input| is(&input.typ)).collect::<Option<Vec<_>>>()
    else {
        // What it means depends on the call.
        return Ok(());
    };
    let shape = match &function.returns.typ {
        None => {
            let columns = function.outputs().filter_map(|column| {
                Some((column.name.clone().unwrap_or_default(), is(&column.typ)?))
            });
            Shape::Row(columns.collect())
        }
        Some(ParameterType::Is(ScalarType::Composite(definition))) => {
            Shape::Row(definition.fields.clone())
        }
        Some(ParameterType::Is(typ)) => Shape::Value(ColumnType::new(typ.clone()), None),
        Some(ParameterType::Any(_)) => return Ok(()),
    };
    let single = !function.returns.set;
    plan_rows(ctx, name, function, &types, &mut query.clone(), &shape, single).map(|_| ())
}

/// The context of a text that was kept.
fn within<'c>(
    ctx: &'c QueryContext<'_>,
    text: &'c str,
    only_functions: Option<Vec<ObjectId>>,
) -> QueryContext<'c> {
    QueryContext {
        relations: ctx.relations,
        text,
        database: ctx.database.clone(),
        search_path: ctx.search_path.clone(),
        user: ctx.user.clone(),
        session_user: ctx.session_user.clone(),
        time_zone: ctx.time_zone.clone(),
        settings: ctx.settings.clone(),
        now: ctx.now,
        backend_pid: ctx.backend_pid,
        maintained: ctx.maintained,
        all_databases: ctx.all_databases,
        parameters: RefCell::new(Vec::new()),
        set_config: RefCell::new(Vec::new()),
        locks: Cell::new(false),
        root_ctes: None,
        part: false,
        only_functions,
        trusted: ctx.trusted,
        used_functions: RefCell::new(BTreeSet::new()),
        depth: Cell::new(ctx.depth.get()),
        next_local: Cell::new(ctx.next_local.get()),
    }
}

/// The value of an argument that is not given.
pub(super) fn default_value(
    ctx: &QueryContext<'_>,
    only_functions: &[ObjectId],
    text: &str,
    typ: &ScalarType,
) -> Result<TypedScalar, SqlError> {
    let child = within(ctx, text, Some(only_functions.to_vec()));
    let expr = crate::parse::expression(text)?;
    let planned = crate::query::plan_scalar(&child, &Scope::default(), &expr);
    ctx.next_local.set(child.next_local.get());
    let target = ColumnType::new(typ.clone());
    match coerce(ctx, planned?, &target, CastContext::Assignment)? {
        Some(value) => Ok(value),
        None => Err(SqlError::internal("a default of another type")),
    }
}

fn read(text: &str) -> Result<Query, SqlError> {
    let mut statements = parse(text)?;
    match (statements.pop().map(|one| one.statement), statements.pop()) {
        (Some(Statement::Query(statement)), None) => Ok(*statement.query),
        _ => Err(SqlError::internal("a body that is not one query")),
    }
}

fn plan_rows(
    ctx: &QueryContext<'_>,
    name: &str,
    function: &Function,
    types: &[ColumnType],
    query: &mut Query,
    shape: &Shape,
    single: bool,
) -> Result<Rows, SqlError> {
    let mut numbered = Numbered { count: types.len() };
    if let ControlFlow::Break(error) = query.visit(&mut numbered) {
        return Err(error);
    }
    let scope = argument_scope(name, function, types);
    let around = Rc::new(Scope { outer: Some(scope), ..Scope::default() });
    let mut parts = order::plan_query(ctx, query, &around)?;
    if single && !inline::has_one_row(&parts.expr) {
        first_row(ctx, &mut parts)?;
    }
    let columns = conform(ctx, function, shape, &parts.outputs)?;
    let order = parts.order_by.clone();
    let relation = order::cut_only(ctx, parts);
    Ok(Rows { relation, columns, order })
}

/// The row of the arguments, by their names and by their numbers.
fn argument_scope(name: &str, function: &Function, types: &[ColumnType]) -> Rc<Scope> {
    let table = |name: &str| TableName {
        schema: None,
        name: name.to_owned(),
        object: None,
        relation: None,
        original: None,
        covered: false,
        function: false,
        recursive: false,
        missing: Missing::Never,
        primary_key: Vec::new(),
    };
    let entry = |table: usize, name: String, column: usize, typ: &ColumnType, hidden: bool| Entry {
        table: Some(table),
        name,
        column,
        typ: typ.clone(),
        hidden,
        unlisted: false,
    };
    let mut entries = Vec::with_capacity(types.len() * 2);
    for (column, (input, typ)) in function.inputs().zip(types).enumerate() {
        if let Some(name) = &input.name {
            entries.push(entry(0, name.clone(), column, typ, false));
        }
        entries.push(entry(1, format!("${}", column + 1), column, typ, true));
    }
    let tables = vec![table(name), table(ARGUMENTS)];
    Rc::new(Scope { entries, tables, arity: types.len(), ..Scope::default() })
}

/// Writes names for `$1`.
struct Numbered {
    count: usize,
}

impl VisitorMut for Numbered {
    type Break = SqlError;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        let Expr::Value(value) = expr else { return ControlFlow::Continue(()) };
        let Value::Placeholder(number) = &value.value else { return ControlFlow::Continue(()) };
        let known = number.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
        if known.is_none_or(|known| known == 0 || known > self.count) {
            return ControlFlow::Break(SqlError::new(
                SqlState::UNDEFINED_PARAMETER,
                format!("there is no parameter {number}"),
            ));
        }
        let part = |name: &str| Ident::with_quote_and_span('"', value.span, name);
        *expr = Expr::CompoundIdentifier(vec![part(ARGUMENTS), part(number)]);
        ControlFlow::Continue(())
    }
}

/// What a body gives, as what the function says that it gives.
fn conform(
    ctx: &QueryContext<'_>,
    function: &Function,
    shape: &Shape,
    outputs: &[OutputColumn],
) -> Result<Vec<TypedScalar>, SqlError> {
    let mismatch = |detail: String| {
        let declared = match &function.returns.typ {
            Some(typ) => typ.name(),
            None => "record".to_owned(),
        };
        SqlError::new(
            SqlState::INVALID_FUNCTION_DEFINITION,
            format!("return type mismatch in function declared to return {declared}"),
        )
        .with_detail(detail)
    };
    let given: Vec<TypedScalar> = outputs
        .iter()
        .enumerate()
        .map(|(column, output)| TypedScalar {
            expr: match &output.raw {
                Some(raw) => raw.clone(),
                None => QueryScalar::Column(ColumnRef { level: 0, column }),
            },
            typ: output.typ.clone(),
        })
        .collect();
    let settled = |value: &TypedScalar| match value.typ.scalar_type {
        ScalarType::Unknown => ScalarType::Text,
        ref other => other.clone(),
    };
    let wanted = match shape {
        Shape::Value(typ, _) => {
            let [value] = given.as_slice() else {
                return Err(mismatch("Final statement must return exactly one column.".to_owned()));
            };
            let actual = settled(value);
            return match coerce(ctx, value.clone(), typ, CastContext::Assignment)? {
                Some(value) => Ok(vec![value]),
                None => Err(mismatch(format!("Actual return type is {actual}."))),
            };
        }
        Shape::Row(columns) => columns,
    };
    // A row of the type itself.
    if let [whole] = given.as_slice() {
        let fields = match &whole.typ.scalar_type {
            ScalarType::Composite(definition) => definition.field_types(),
            ScalarType::Record(types) => types.clone(),
            _ => Vec::new(),
        };
        let same = fields.len() == wanted.len()
            && wanted.iter().zip(&fields).all(|((_, typ), given)| typ.scalar_type == *given);
        if same && !fields.is_empty() {
            let part = |(at, (_, typ)): (usize, &(String, ColumnType))| {
                field(whole, at, typ.clone().nullable(true))
            };
            return Ok(wanted.iter().enumerate().map(part).collect());
        }
    }
    if given.len() > wanted.len() {
        return Err(mismatch("Final statement returns too many columns.".to_owned()));
    }
    if given.len() < wanted.len() {
        return Err(mismatch("Final statement returns too few columns.".to_owned()));
    }
    let mut columns = Vec::with_capacity(wanted.len());
    for (at, (value, (_, typ))) in given.into_iter().zip(wanted).enumerate() {
        let actual = settled(&value);
        let target = ColumnType::new(typ.scalar_type.clone());
        let coerced = match value.typ.scalar_type {
            ScalarType::Unknown => Some(coerce_implicit(ctx, value, &typ.scalar_type)?),
            _ => coerce(ctx, value, &target, CastContext::Assignment)?,
        };
        columns.push(coerced.ok_or_else(|| {
            mismatch(format!(
                "Final statement returns {actual} instead of {} at column {}.",
                typ.scalar_type,
                at + 1
            ))
        })?);
    }
    Ok(columns)
}
