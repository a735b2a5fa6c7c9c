//! Json: the constructors of SQL's standard, `IS JSON`, and records out of json.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, JsonKeyUniqueness, JsonNullClause, JsonPredicateType,
    Spanned,
};
use tidemill_expr::FunctionRef;
use tidemill_plan::QueryScalar;
use tidemill_repr::{ColumnType, Datum, ScalarType, SqlError, SqlState};

use super::{ExprContext, call_by_name};
use crate::query::cast::{call, coerce_explicit, coerce_implicit};
use crate::query::{QueryContext, TypedScalar, literal};

/// What follows the arguments of a constructor.
struct Clauses {
    absent: Option<bool>,
    returning: Option<ColumnType>,
}

/// Whether a function makes records by the type of its first argument, and of what: a set of
/// them is made of an array.
pub(in crate::query) fn populates(name: &str) -> Option<(ScalarType, bool)> {
    Some(match name {
        "json_populate_record" => (ScalarType::Json, false),
        "jsonb_populate_record" => (ScalarType::Jsonb, false),
        "json_populate_recordset" => (ScalarType::Json, true),
        "jsonb_populate_recordset" => (ScalarType::Jsonb, true),
        _ => return None,
    })
}

/// A record like `base` with the fields of a json object.
pub(in crate::query) fn populate(
    ctx: &QueryContext<'_>,
    json: TypedScalar,
    base: TypedScalar,
) -> Result<TypedScalar, SqlError> {
    let typ = ColumnType::new(base.typ.scalar_type.clone());
    let function = FunctionRef::by_id("jsonb_populate_value")
        .ok_or_else(|| SqlError::internal("there is no jsonb_populate_value"))?;
    call(ctx, function, vec![json, base], typ)
}

impl ExprContext<'_> {
    /// The arguments of a function that makes records: the base, and the json as jsonb.
    pub(in crate::query) fn populate_arguments(
        &self,
        name: &str,
        json: &ScalarType,
        exprs: &[&Expr],
    ) -> Result<(TypedScalar, TypedScalar), SqlError> {
        let ([base, value] | [base, value, _]) = exprs else {
            let values = exprs.iter().map(|expr| self.plan(expr)).collect::<Result<Vec<_>, _>>()?;
            let types: Vec<ScalarType> =
                values.into_iter().map(|value| value.typ.scalar_type).collect();
            return Err(match tidemill_expr::resolve::function(name, &types) {
                Err(error) => error,
                Ok(_) => SqlError::internal("a function without its arguments"),
            });
        };
        let base = self.plan(base)?;
        match base.typ.scalar_type.base() {
            ScalarType::Composite(_) => {}
            ScalarType::Unknown => {
                return Err(SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    "could not determine polymorphic type because input has type unknown",
                ));
            }
            ScalarType::Record(_) => {
                return Err(SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!("could not determine row type for result of {name}"),
                )
                .with_hint(
                    "Provide a non-null record argument, or call the function in the FROM \
                            clause using a column definition list.",
                ));
            }
            _ => {
                return Err(SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!("first argument of {name} must be a row type"),
                ));
            }
        }
        let value = coerce_implicit(self.ctx, self.plan(value)?, json)?;
        let value = coerce_explicit(self.ctx, value, &ColumnType::new(ScalarType::Jsonb))?;
        Ok((base, value))
    }

    /// `jsonb_populate_record(..)` and its kin; None for other functions.
    pub(super) fn populated(
        &self,
        name: &str,
        exprs: &[&Expr],
    ) -> Result<Option<TypedScalar>, SqlError> {
        let Some((json, set)) = populates(name) else { return Ok(None) };
        let (base, value) = self.populate_arguments(name, &json, exprs)?;
        let value = if set { self.each_record(name, value)? } else { value };
        populate(self.ctx, value, base).map(Some)
    }

    fn json_clauses(&self, list: &FunctionArgumentList) -> Result<Clauses, SqlError> {
        let mut clauses = Clauses { absent: None, returning: None };
        for clause in &list.clauses {
            match clause {
                FunctionArgumentClause::JsonNullClause(null) => {
                    clauses.absent = Some(*null == JsonNullClause::AbsentOnNull);
                }
                FunctionArgumentClause::JsonReturningClause(returning) => {
                    clauses.returning = Some(self.ctx.data_type(&returning.data_type)?);
                }
                other => {
                    return Err(SqlError::unsupported(format!("{other} in a call")));
                }
            }
        }
        Ok(clauses)
    }

    /// `JSON_OBJECT('a': 1)`, `JSON_ARRAY(1, 2)`, `JSON_SCALAR(1)`, `JSON(..)`,
    /// `JSON_SERIALIZE(..)`; None for what is a plain call.
    pub(super) fn json_constructor(
        &self,
        name: &str,
        function: &Function,
    ) -> Result<Option<TypedScalar>, SqlError> {
        let names = ["json_object", "json_array", "json_scalar", "json_serialize"];
        let FunctionArguments::List(list) = &function.args else { return Ok(None) };
        if !names.contains(&name) {
            return Ok(None);
        }
        let pairs = |argument: &FunctionArg| matches!(argument, FunctionArg::ExprNamed { .. });
        let plain = !list.args.iter().any(pairs) && list.clauses.is_empty();
        if name == "json_object" && plain && !list.args.is_empty() {
            return Ok(None);
        }
        let located = |error| self.ctx.locate(error, function.name.span());
        let clauses = self.json_clauses(list).map_err(located)?;
        let absent = clauses.absent.unwrap_or(name == "json_array");
        let mut values = vec![literal::literal(Datum::Bool(absent), ScalarType::Bool)];
        for argument in &list.args {
            match argument {
                FunctionArg::ExprNamed {
                    name,
                    arg: FunctionArgExpr::Expr(value),
                    operator: FunctionArgOperator::Colon | FunctionArgOperator::Value,
                } => {
                    values.push(self.plan(name)?);
                    values.push(self.plan(value)?);
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) if name != "json_object" => {
                    values.push(self.plan(value)?);
                }
                _ => {
                    return Err(self
                        .ctx
                        .unsupported("this form of an argument", function.name.span()));
                }
            }
        }
        let made = match (name, values.len()) {
            ("json_scalar" | "json_serialize", 2) => {
                let value = values.pop().unwrap_or_else(|| literal::null(ScalarType::Text));
                if name == "json_scalar" {
                    call_by_name(self.ctx, "to_json", vec![value])
                } else {
                    coerce_explicit(self.ctx, value, &ColumnType::new(ScalarType::Text))
                }
            }
            ("json_scalar" | "json_serialize", _) => {
                Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("{name} takes one argument")))
            }
            _ => call_by_name(self.ctx, &format!("{name}_constructor"), values),
        }
        .map_err(located)?;
        match clauses.returning {
            None => Ok(Some(made)),
            Some(typ) => coerce_explicit(self.ctx, made, &typ).map(Some).map_err(located),
        }
    }

    /// `x IS [NOT] JSON [OBJECT] [WITH UNIQUE KEYS]`
    pub(super) fn is_json(
        &self,
        expr: &Expr,
        kind: Option<&JsonPredicateType>,
        unique: Option<&JsonKeyUniqueness>,
        negated: bool,
    ) -> Result<TypedScalar, SqlError> {
        let value = self.plan(expr)?;
        let text = ColumnType::new(ScalarType::Text);
        let value = match value.typ.scalar_type.base() {
            ScalarType::Bytea => {
                let utf8 = literal::text("UTF8");
                call_by_name(self.ctx, "convert_from", vec![value, utf8])
            }
            ScalarType::Unknown
            | ScalarType::Text
            | ScalarType::Varchar
            | ScalarType::Bpchar
            | ScalarType::Name
            | ScalarType::Json
            | ScalarType::Jsonb => coerce_explicit(self.ctx, value, &text),
            typ => Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!("cannot use type {typ} in IS JSON predicate"),
            )),
        }
        .map_err(|error| self.ctx.locate(error, expr.span()))?;
        let kind = kind.map_or_else(|| "VALUE".to_owned(), ToString::to_string);
        let unique = matches!(unique, Some(JsonKeyUniqueness::WithUniqueKeys));
        let unique = literal::literal(Datum::Bool(unique), ScalarType::Bool);
        let found = call_by_name(self.ctx, "is_json", vec![value, literal::text(&kind), unique])?;
        Ok(match negated {
            false => found,
            true => TypedScalar { expr: QueryScalar::Not(Box::new(found.expr)), typ: found.typ },
        })
    }
}
