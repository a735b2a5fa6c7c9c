//! Calls of functions that users write in SQL: the body takes the place of the call, with the
//! arguments in it.
//!
//! The body is planned as a query over one row around it, that of the arguments. Where that is one
//! expression, the call becomes it; else it becomes a subquery, or in FROM a relation. Then the
//! arguments are put where the body names them; those that would be computed more than once, and
//! are more than a name or a constant, stay a row of their own.

mod body;
mod call;
mod inline;

pub use body::check_body;
pub(super) use call::{
    Argument, arguments_of, candidates, exact_overload, oid_by_text, resolve_call,
};

use std::sync::Arc;

use tidemill_catalog::{Function, Item, ParameterType};
use tidemill_expr::{AggregateKind, functions, resolve};
use tidemill_plan::query::{ColumnRef, QueryAggregate};
use tidemill_plan::{QueryExpr, QueryScalar};
use tidemill_repr::{ColumnType, CompositeType, ScalarType, SqlError, SqlState, TypeName};

use super::expr::{call_by_name, record};
use super::{QueryContext, TypedScalar, literal, order, walk};

/// A function and what it is given.
pub(super) struct Call {
    item: Arc<Item>,
    /// What each of its inputs is, of the right type.
    arguments: Vec<TypedScalar>,
    /// What the polymorphic types stand for.
    element: Option<ScalarType>,
}

/// What a call gives.
pub(super) enum Shape {
    /// A value of a type; the name is that of a column, where there is one.
    Value(ColumnType, Option<String>),
    /// A row of columns.
    Row(Vec<(String, ColumnType)>),
}

/// Whether there is a function of Tidemill's own with this name.
pub fn has_builtin(name: &str) -> bool {
    functions::by_name(name).next().is_some()
        || functions::all_tables().any(|function| function.name == name)
        || super::aggregate::is_aggregate(name)
        || super::window::is_window_function(name)
}

impl Call {
    fn function(&self) -> Result<&Function, SqlError> {
        self.item.function().ok_or_else(|| SqlError::internal("a function that is none"))
    }

    /// Whether it gives rows.
    pub fn is_set(&self) -> bool {
        self.item.function().is_some_and(|function| function.returns.set)
    }

    /// Its name without schema.
    pub fn name(&self) -> &str {
        &self.item.name.item
    }

    /// A type in this call.
    fn concrete(&self, typ: &ParameterType) -> Result<ScalarType, SqlError> {
        let element = self.element.clone().unwrap_or(ScalarType::Unknown);
        match typ {
            ParameterType::Is(typ) => Ok(typ.clone()),
            ParameterType::Any(_) => {
                resolve::concrete(&typ.pattern(), &ScalarType::Unknown, &element).ok_or_else(|| {
                    SqlError::new(
                        SqlState::INDETERMINATE_DATATYPE,
                        "could not determine polymorphic type because input has type unknown",
                    )
                })
            }
        }
    }

    /// What it gives in this call.
    pub fn shape(&self) -> Result<Shape, SqlError> {
        let function = self.function()?;
        let Some(typ) = &function.returns.typ else {
            let columns = function.outputs().enumerate().map(|(at, column)| {
                let typ = ColumnType::new(self.concrete(&column.typ)?);
                let name = column.name.clone();
                Ok((name.unwrap_or_else(|| format!("column{}", at + 1)), typ))
            });
            return Ok(Shape::Row(columns.collect::<Result<_, SqlError>>()?));
        };
        let typ = self.concrete(typ)?;
        let name = function.outputs().next().and_then(|column| column.name.clone());
        Ok(match &typ {
            ScalarType::Composite(definition) => Shape::Row(
                definition
                    .fields
                    .iter()
                    .map(|(name, typ)| (name.clone(), typ.clone().nullable(true)))
                    .collect(),
            ),
            _ => Shape::Value(ColumnType::new(typ), name),
        })
    }

    /// The type of its result as one value.
    fn value_type(&self) -> Result<ColumnType, SqlError> {
        if let Some(typ) = &self.function()?.returns.typ {
            return Ok(ColumnType::new(self.concrete(typ)?));
        }
        let Shape::Row(fields) = self.shape()? else {
            return Err(SqlError::internal("a row that is none"));
        };
        let record = ScalarType::Record(Vec::new());
        let name = TypeName {
            oid: record.oid(),
            array_oid: record.array_oid(),
            schema: "pg_catalog".to_owned(),
            name: "record".to_owned(),
        };
        Ok(ColumnType::new(ScalarType::Composite(Arc::new(CompositeType { name, fields }))))
    }

    /// The call as one value: of one that gives rows, an array of them.
    pub fn into_value(self, ctx: &QueryContext<'_>) -> Result<TypedScalar, SqlError> {
        let set = self.is_set();
        let rows = body::plan(ctx, &self, !set)?;
        let typ = self.value_type()?;
        let row = matches!(self.shape()?, Shape::Row(_));
        let columns = rows.columns.clone();
        let width = walk::arity(&rows.relation);
        let relation = QueryExpr::Map {
            input: Box::new(rows.relation),
            scalars: vec![one_value(ctx, columns, row)?],
        };
        if set {
            return self.array(ctx, relation, width, &rows.order, typ);
        }
        let relation = QueryExpr::Project { input: Box::new(relation), outputs: vec![width] };
        let value = match inline::single_row(&relation) {
            Some(mut columns) => {
                let mut value = columns.pop().ok_or_else(|| SqlError::internal("no value"))?;
                walk::shift_scalar(&mut value, 1, -1);
                value
            }
            None => QueryScalar::Subquery(Box::new(relation)),
        };
        let value = match self.function()?.strict {
            true => inline::strict(value, &self.arguments, &typ),
            false => value,
        };
        let expr = inline::bind(value, &self.arguments);
        Ok(super::cast::fold(TypedScalar { expr, typ }))
    }

    fn array(
        &self,
        ctx: &QueryContext<'_>,
        relation: QueryExpr,
        value: usize,
        order: &[tidemill_plan::ColumnOrder],
        typ: ColumnType,
    ) -> Result<TypedScalar, SqlError> {
        let element = typ.scalar_type;
        if matches!(element, ScalarType::Array(_)) {
            return Err(SqlError::unsupported("rows of arrays of a function here")
                .with_hint("Call the function in FROM."));
        }
        let column = |column: usize| TypedScalar {
            expr: QueryScalar::Column(ColumnRef { level: 0, column }),
            typ: ColumnType::new(element.clone()),
        };
        let mut fields = vec![column(value)];
        fields.extend(order.iter().map(|key| column(key.column)));
        let typ = ColumnType::new(ScalarType::Array(Box::new(element.clone())));
        let aggregate = QueryAggregate {
            kind: AggregateKind::ArrayAgg(element.clone()),
            argument: record(ctx, fields)?.expr,
            distinct: false,
            order: order.iter().map(|key| key.direction).collect(),
            typ: typ.clone(),
        };
        let reduced = QueryExpr::Reduce {
            input: Box::new(relation),
            group_key: Vec::new(),
            aggregates: vec![aggregate],
        };
        // Without rows, and for a strict function of NULL, there is nothing to unnest.
        let value = QueryScalar::Subquery(Box::new(reduced));
        let value = match self.function()?.strict {
            true => inline::strict(value, &self.arguments, &typ),
            false => value,
        };
        Ok(TypedScalar { expr: inline::bind(value, &self.arguments), typ })
    }

    /// The call in FROM: rows whose arguments are one scope out, and the columns.
    pub fn into_rows(
        self,
        ctx: &QueryContext<'_>,
    ) -> Result<(QueryExpr, Vec<ColumnType>), SqlError> {
        let rows = body::plan(ctx, &self, false)?;
        let columns = rows.columns.iter().map(|column| column.typ.clone()).collect();
        let width = walk::arity(&rows.relation);
        let mapped = QueryExpr::Map {
            input: Box::new(rows.relation),
            scalars: rows.columns.into_iter().map(|column| column.expr).collect(),
        };
        let arity = walk::arity(&mapped);
        let mut relation =
            QueryExpr::Project { input: Box::new(mapped), outputs: (width..arity).collect() };
        inline::bind_rows(&mut relation, &self.arguments);
        if self.function()?.strict {
            let predicates = self
                .arguments
                .iter()
                .filter(|argument| argument.typ.nullable)
                .map(|argument| {
                    let null = QueryScalar::IsNull(Box::new(argument.expr.clone()));
                    QueryScalar::Not(Box::new(null))
                })
                .collect();
            relation = QueryExpr::Filter { input: Box::new(relation), predicates };
        }
        Ok((relation, columns))
    }
}

/// The columns of a body as one value.
fn one_value(
    ctx: &QueryContext<'_>,
    mut columns: Vec<TypedScalar>,
    row: bool,
) -> Result<QueryScalar, SqlError> {
    if row {
        return Ok(record(ctx, columns)?.expr);
    }
    columns.pop().map(|column| column.expr).ok_or_else(|| SqlError::internal("no column"))
}

/// The rows of a body that is planned.
struct Rows {
    /// The rows; its columns are those of the query and those it is sorted by.
    relation: QueryExpr,
    /// What it gives, over a row of the relation.
    columns: Vec<TypedScalar>,
    /// The order of the rows, if there is one.
    order: Vec<tidemill_plan::ColumnOrder>,
}

/// NULL of a type.
fn null(typ: &ColumnType) -> QueryScalar {
    literal::null(typ.scalar_type.clone()).expr
}

/// Cuts a query to its first row, unless it has no other.
fn first_row(ctx: &QueryContext<'_>, parts: &mut order::QueryParts) -> Result<(), SqlError> {
    let one = literal::literal(tidemill_repr::Datum::Int(1), ScalarType::Int8).expr;
    parts.limit = Some(match parts.limit.take() {
        None => one,
        Some(limit) => {
            let count = |expr| TypedScalar { expr, typ: ColumnType::new(ScalarType::Int8) };
            call_by_name(ctx, "least", vec![count(limit), count(one)])?.expr
        }
    });
    Ok(())
}
