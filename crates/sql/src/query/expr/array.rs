//! Arrays: `ARRAY[..]`, `ARRAY(SELECT ..)`, rows, and subscripts of arrays and jsonb.

use sqlparser::ast::{AccessExpr, Array, Expr, Query, Spanned, Subscript};
use tidemill_expr::AggregateKind;
use tidemill_expr::function::TypePattern;
use tidemill_expr::resolve::element_of;
use tidemill_plan::query::{ColumnRef, QueryAggregate};
use tidemill_plan::{QueryExpr, QueryScalar};
use tidemill_repr::{ColumnType, Datum, ScalarType, SqlError, SqlState};

use super::operator::binary;
use super::{ExprContext, bare, call_by_name, record};
use crate::query::cast::{coerce_explicit, coerce_implicit, unify, unify_at};
use crate::query::{TypedScalar, literal, order};

impl ExprContext<'_> {
    pub(super) fn array(&self, array: &Array) -> Result<TypedScalar, SqlError> {
        // PostgreSQL knows brackets without the word only inside of an array.
        if !array.named {
            return Err(self.ctx.error(
                SqlState::SYNTAX_ERROR,
                "syntax error at or near \"[\"",
                array.span_of_first(),
            ));
        }
        self.array_of(array, None)
    }

    /// `ARRAY[..]`, whose elements may be known to be of a type.
    pub(super) fn array_of(
        &self,
        array: &Array,
        wanted: Option<&ScalarType>,
    ) -> Result<TypedScalar, SqlError> {
        if array.elem.is_empty() {
            let Some(element) = wanted else {
                return Err(SqlError::new(
                    SqlState::INDETERMINATE_DATATYPE,
                    "cannot determine type of empty array",
                )
                .with_hint(
                    "Explicitly cast to the desired type, for example ARRAY[]::integer[].",
                ));
            };
            let typ = ScalarType::Array(Box::new(element.clone()));
            return literal::parse(self.ctx, "{}", &ColumnType::new(typ));
        }
        let mut elements = Vec::new();
        for expr in &array.elem {
            let element = match bare(expr) {
                Expr::Array(inner) => self.array_of(inner, wanted)?,
                _ => self.plan(expr)?,
            };
            let element = match (wanted, &element.typ.scalar_type) {
                (None, _) | (Some(_), ScalarType::Array(_)) => element,
                (Some(wanted), _) => {
                    coerce_explicit(self.ctx, element, &ColumnType::new(wanted.clone()))
                        .map_err(|error| self.ctx.locate(error, expr.span()))?
                }
            };
            elements.push(element);
        }
        let spans: Vec<_> = array.elem.iter().map(Spanned::span).collect();
        let (elements, typ) = unify_at(self.ctx, "ARRAY", elements, &spans)?;
        let typ = match typ.scalar_type {
            array @ ScalarType::Array(_) => array,
            element => ScalarType::Array(Box::new(element)),
        };
        let function = tidemill_expr::FunctionRef::by_id("array_build")
            .ok_or_else(|| SqlError::internal("there is no array_build"))?;
        let typ = ColumnType::new(typ).nullable(false);
        let expr = QueryScalar::Call { function, arguments: elements, typ: typ.clone() };
        Ok(TypedScalar { expr, typ })
    }

    /// `ARRAY(SELECT ..)`: the rows in their order.
    pub(super) fn array_subquery(&self, query: &Query) -> Result<TypedScalar, SqlError> {
        let ctx = self.ctx;
        let parts = order::plan_query(ctx, query, &self.inside())?;
        let parts = order::resolve_unknown_outputs(ctx, parts)?;
        let [column] = parts.outputs.as_slice() else {
            return Err(ctx.error(
                SqlState::SYNTAX_ERROR,
                "subquery must return only one column",
                query.span(),
            ));
        };
        let element = column.typ.scalar_type.clone();
        let keys = parts.order_by.clone();
        let value = |column: usize, typ: ColumnType| TypedScalar {
            expr: QueryScalar::Column(ColumnRef { level: 0, column }),
            typ,
        };
        let mut fields = vec![value(0, column.typ.clone())];
        // The types of keys that are not put out are not needed to sort them.
        fields.extend(keys.iter().map(|key| value(key.column, column.typ.clone())));
        let argument = record(ctx, fields)?.expr;
        let input = order::cut_only(ctx, parts);
        let typ = match &element {
            ScalarType::Array(_) => element.clone(),
            other => ScalarType::Array(Box::new(other.clone())),
        };
        let typ = ColumnType::new(typ);
        let aggregate = QueryAggregate {
            kind: AggregateKind::ArrayAgg(element),
            argument,
            distinct: false,
            order: keys.iter().map(|key| key.direction).collect(),
            typ: typ.clone(),
        };
        let reduced = QueryExpr::Reduce {
            input: Box::new(input),
            group_key: Vec::new(),
            aggregates: vec![aggregate],
        };
        let empty = literal::parse(ctx, "{}", &typ)?;
        let found = QueryScalar::Subquery(Box::new(reduced));
        let expr = QueryScalar::Coalesce(vec![found, empty.expr]);
        Ok(TypedScalar { expr, typ: typ.nullable(false) })
    }

    /// `x[1]`, `x[1:2]`, `j['a']`, fields.
    pub(super) fn access(
        &self,
        root: &Expr,
        chain: &[AccessExpr],
    ) -> Result<TypedScalar, SqlError> {
        let mut rest = chain;
        let first = match chain.first() {
            Some(AccessExpr::Dot(Expr::Identifier(field))) => self.first_field(root, field)?,
            _ => None,
        };
        let mut value = match first {
            Some(value) => {
                rest = &chain[1..];
                value
            }
            None => self.plan(root)?,
        };
        while let Some((first, after)) = rest.split_first() {
            match first {
                AccessExpr::Dot(Expr::Identifier(field)) => {
                    value = self.field_by_name(value, field, root)?;
                    rest = after;
                }
                AccessExpr::Dot(field) => {
                    return Err(self.ctx.unsupported("this form of a field", field.span()));
                }
                AccessExpr::Subscript(_)
                    if is_slice(rest) && !matches!(value.typ.scalar_type, ScalarType::List(_)) =>
                {
                    let (slices, after) = subscripts(rest);
                    value = self.slices(value, slices, root)?;
                    rest = after;
                }
                AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride }) => {
                    if stride.is_some() {
                        return Err(self.ctx.unsupported("this form of a slice", root.span()));
                    }
                    value = self.slice(value, lower_bound.as_ref(), upper_bound.as_ref(), root)?;
                    rest = after;
                }
                AccessExpr::Subscript(Subscript::Index { index }) => {
                    if let ScalarType::List(_) = value.typ.scalar_type {
                        let place = self.place(index)?;
                        value = call_by_name(self.ctx, "list_subscript", vec![value, place])?;
                        rest = after;
                    } else if value.typ.scalar_type == ScalarType::Jsonb {
                        value = self.json_subscript(value, index)?;
                        rest = after;
                    } else {
                        let indexes: Vec<&Expr> = rest
                            .iter()
                            .map_while(|access| match access {
                                AccessExpr::Subscript(Subscript::Index { index }) => Some(index),
                                _ => None,
                            })
                            .collect();
                        rest = &rest[indexes.len()..];
                        value = self.array_element(value, &indexes, root)?;
                    }
                }
            }
        }
        Ok(value)
    }

    fn require_array(&self, value: &TypedScalar, root: &Expr) -> Result<(), SqlError> {
        match &value.typ.scalar_type {
            ScalarType::Array(_) => Ok(()),
            other => Err(self.ctx.error(
                SqlState::DATATYPE_MISMATCH,
                format!("cannot subscript type {other} because it does not support subscripting"),
                root.span(),
            )),
        }
    }

    /// A place in a list.
    fn place(&self, expr: &Expr) -> Result<TypedScalar, SqlError> {
        let planned = self.plan(expr)?;
        coerce_implicit(self.ctx, planned, &ScalarType::Int8)
            .map_err(|error| self.ctx.locate(error, expr.span()))
    }

    /// `MAP[k => v, ..]`: keys and values in turn.
    pub(super) fn map_of_pairs(&self, exprs: &[&Expr]) -> Result<TypedScalar, SqlError> {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for (at, expr) in exprs.iter().enumerate() {
            let planned = self.plan(expr)?;
            if at % 2 == 0 {
                keys.push(
                    coerce_implicit(self.ctx, planned, &ScalarType::Text)
                        .map_err(|error| self.ctx.locate(error, expr.span()))?,
                );
            } else {
                values.push(planned);
            }
        }
        if keys.len() != values.len() {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "MAP needs a value for each key, as MAP['key' => value]",
            ));
        }
        let (values, typ) = unify(self.ctx, "MAP", values)?;
        let pairs = keys.into_iter().zip(values).flat_map(|(key, value)| [key.expr, value]);
        let function = tidemill_expr::FunctionRef::by_id("map_build_pairs")
            .ok_or_else(|| SqlError::internal("there is no map_build_pairs"))?;
        let typ = ColumnType::new(ScalarType::Map(Box::new(typ.scalar_type))).nullable(false);
        let expr = QueryScalar::Call { function, arguments: pairs.collect(), typ: typ.clone() };
        Ok(TypedScalar { expr, typ })
    }

    /// `list_n_layers(x)`: how deep lists lie in lists, which the type tells.
    pub(super) fn layers(&self, exprs: &[&Expr]) -> Result<TypedScalar, SqlError> {
        let [expr] = exprs else {
            return Err(SqlError::new(
                SqlState::UNDEFINED_FUNCTION,
                "function list_n_layers() needs one argument",
            ));
        };
        let value = self.plan(expr)?;
        let mut depth = 0;
        let mut typ = &value.typ.scalar_type;
        while let ScalarType::List(element) = typ {
            depth += 1;
            typ = element;
        }
        if depth == 0 {
            return Err(SqlError::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("function list_n_layers({typ}) does not exist"),
            ));
        }
        let layers = literal::literal(Datum::Int(depth), ScalarType::Int4);
        let missing = QueryScalar::IsNull(Box::new(value.expr));
        let none = literal::null(ScalarType::Int4).expr;
        let expr = QueryScalar::If(Box::new(missing), Box::new(none), Box::new(layers.expr));
        Ok(TypedScalar { expr, typ: ColumnType::new(ScalarType::Int4) })
    }

    /// Vectors are arrays.
    fn array_value(&self, value: TypedScalar) -> Result<TypedScalar, SqlError> {
        match value.typ.scalar_type {
            ScalarType::Int2Vector | ScalarType::OidVector => {
                let typ = element_of(&TypePattern::AnyArray, &value.typ.scalar_type);
                let array = ScalarType::Array(Box::new(typ.unwrap_or(ScalarType::Text)));
                coerce_implicit(self.ctx, value, &array)
            }
            _ => Ok(value),
        }
    }

    fn index(&self, expr: &Expr) -> Result<TypedScalar, SqlError> {
        let planned = self.plan(expr)?;
        coerce_implicit(self.ctx, planned, &ScalarType::Int4).map_err(|_| {
            self.ctx.error(
                SqlState::DATATYPE_MISMATCH,
                "array subscript must have type integer",
                expr.span(),
            )
        })
    }

    fn array_element(
        &self,
        value: TypedScalar,
        indexes: &[&Expr],
        root: &Expr,
    ) -> Result<TypedScalar, SqlError> {
        let value = self.array_value(value)?;
        self.require_array(&value, root)?;
        let mut arguments = vec![value];
        for index in indexes {
            arguments.push(self.index(index)?);
        }
        call_by_name(self.ctx, "array_subscript", arguments)
            .map_err(|error| self.ctx.locate(error, root.span()))
    }

    fn slice(
        &self,
        value: TypedScalar,
        lower: Option<&Expr>,
        upper: Option<&Expr>,
        root: &Expr,
    ) -> Result<TypedScalar, SqlError> {
        if let ScalarType::List(_) = value.typ.scalar_type {
            let bound = |bound: Option<&Expr>| match bound {
                Some(expr) => self.place(expr),
                None => Ok(literal::null(ScalarType::Int8)),
            };
            let arguments = vec![value, bound(lower)?, bound(upper)?];
            return call_by_name(self.ctx, "list_slice", arguments);
        }
        Err(self.ctx.error(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "cannot subscript type {} because it does not support subscripting",
                value.typ.scalar_type
            ),
            root.span(),
        ))
    }

    /// `x[1:2][3]..`: if one subscript is a slice, all are; a number alone is one from 1.
    fn slices(
        &self,
        value: TypedScalar,
        slices: &[AccessExpr],
        root: &Expr,
    ) -> Result<TypedScalar, SqlError> {
        let value = self.array_value(value)?;
        self.require_array(&value, root)?;
        let constant =
            |bound: i32| literal::literal(Datum::Int(i64::from(bound)), ScalarType::Int4);
        let mut arguments = vec![value];
        for slice in slices {
            let (lower, upper) = match slice {
                AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, .. }) => {
                    let bound = |bound: &Option<Expr>, open: i32| match bound {
                        Some(expr) => self.index(expr),
                        None => Ok(constant(open)),
                    };
                    (bound(lower_bound, i32::MIN)?, bound(upper_bound, i32::MAX)?)
                }
                AccessExpr::Subscript(Subscript::Index { index }) => {
                    (constant(1), self.index(index)?)
                }
                AccessExpr::Dot(field) => {
                    return Err(self.ctx.unsupported("this form of a slice", field.span()));
                }
            };
            arguments.extend([lower, upper]);
        }
        call_by_name(self.ctx, "array_slice", arguments)
            .map_err(|error| self.ctx.locate(error, root.span()))
    }

    fn json_subscript(&self, value: TypedScalar, index: &Expr) -> Result<TypedScalar, SqlError> {
        let key = self.plan(index)?;
        let key = match key.typ.scalar_type {
            ScalarType::Unknown => coerce_implicit(self.ctx, key, &ScalarType::Text)?,
            _ => key,
        };
        binary(self.ctx, "->", value, key).map_err(|error| self.ctx.locate(error, index.span()))
    }
}

/// The subscripts that come first, and what follows them.
fn subscripts(chain: &[AccessExpr]) -> (&[AccessExpr], &[AccessExpr]) {
    let count = chain.iter().take_while(|part| matches!(part, AccessExpr::Subscript(_))).count();
    chain.split_at(count)
}

/// Whether one of the subscripts that come first is a slice.
fn is_slice(chain: &[AccessExpr]) -> bool {
    subscripts(chain)
        .0
        .iter()
        .any(|part| matches!(part, AccessExpr::Subscript(Subscript::Slice { stride: None, .. })))
}

/// Where an array constructor begins, as far as its elements tell.
trait FirstSpan {
    fn span_of_first(&self) -> sqlparser::tokenizer::Span;
}

impl FirstSpan for Array {
    fn span_of_first(&self) -> sqlparser::tokenizer::Span {
        self.elem.first().map_or_else(sqlparser::tokenizer::Span::empty, Spanned::span)
    }
}
