//! Arguments of calls: in order, by name (`days => 1`), and `VARIADIC` arrays of them.

use std::collections::HashMap;
use std::sync::LazyLock;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArguments, Spanned,
};
use sqlparser::tokenizer::Span;
use tidemill_expr::functions::json::argument_types;
use tidemill_expr::{FunctionRef, resolve};
use tidemill_repr::{ColumnType, ScalarType, SqlError, SqlState};

use super::{ExprContext, bare, function_name};
use crate::parse::expression;
use crate::parse_marks::VARIADIC;
use crate::query::cast::{call, coerce_implicit, resolve_unknown};
use crate::query::{TypedScalar, literal};

/// Names of parameters, with the value of one that is left out.
const PARAMETERS: &[(&str, &[&str])] = &[
    (
        "make_interval",
        &["years=0", "months=0", "weeks=0", "days=0", "hours=0", "mins=0", "secs=0.0"],
    ),
    ("make_date", &["year", "month", "day"]),
    ("make_time", &["hour", "min", "sec"]),
    ("make_timestamp", &["year", "month", "mday", "hour", "min", "sec"]),
    ("make_timestamptz", &["year", "month", "mday", "hour", "min", "sec", "timezone"]),
    ("jsonb_set", &["jsonb_in", "path", "replacement", "create_if_missing=true"]),
    (
        "jsonb_set_lax",
        &[
            "jsonb_in",
            "path",
            "replacement",
            "create_if_missing=true",
            "null_value_treatment='use_json_null'",
        ],
    ),
    ("jsonb_insert", &["jsonb_in", "path", "replacement", "insert_after=false"]),
    ("jsonb_path_exists", &["target", "path", "vars='{}'", "silent=false"]),
    ("jsonb_path_match", &["target", "path", "vars='{}'", "silent=false"]),
    ("jsonb_path_query", &["target", "path", "vars='{}'", "silent=false"]),
    ("jsonb_path_query_array", &["target", "path", "vars='{}'", "silent=false"]),
    ("jsonb_path_query_first", &["target", "path", "vars='{}'", "silent=false"]),
    ("jsonb_populate_record", &["base", "from_json"]),
    ("jsonb_populate_recordset", &["base", "from_json"]),
    ("json_populate_record", &["base", "from_json", "use_json_as_text=false"]),
    ("json_populate_recordset", &["base", "from_json", "use_json_as_text=false"]),
    ("parse_ident", &["str", "strict=true"]),
    ("random_normal", &["mean=0", "stddev=1"]),
    ("regexp_replace", &["string", "pattern", "replacement", "start", "n", "flags"]),
];

/// A parameter's name and its default.
type Parameter = (&'static str, Option<Expr>);

static BY_NAME: LazyLock<HashMap<&str, Vec<Parameter>>> = LazyLock::new(|| {
    let parameter = |text: &&'static str| match text.split_once('=') {
        Some((name, default)) => (name, expression(default).ok()),
        None => (*text, None),
    };
    PARAMETERS
        .iter()
        .map(|(name, parameters)| (*name, parameters.iter().map(parameter).collect()))
        .collect()
});

/// The array that is the last argument, if it is `VARIADIC`.
pub(super) fn variadic_of(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Prefixed { prefix, value } if prefix.value == VARIADIC => Some(value),
        _ => None,
    }
}

impl ExprContext<'_> {
    pub(in crate::query) fn plain_arguments<'f>(
        &self,
        function: &'f Function,
    ) -> Result<Vec<&'f Expr>, SqlError> {
        let span = function.name.span();
        match &function.args {
            FunctionArguments::None => Ok(Vec::new()),
            FunctionArguments::Subquery(_) => {
                Err(self.ctx.unsupported("a query as the arguments of a call", span))
            }
            FunctionArguments::List(list) => {
                let name = function_name(self.ctx, &function.name)?;
                self.in_order(&name, &list.args, span)
            }
        }
    }

    /// The arguments of a list in the order of the function's parameters.
    pub(in crate::query) fn in_order<'f>(
        &self,
        function: &str,
        list: &'f [FunctionArg],
        span: Span,
    ) -> Result<Vec<&'f Expr>, SqlError> {
        let mut arguments: Vec<Option<&'f Expr>> = Vec::with_capacity(list.len());
        let mut named = false;
        for argument in list {
            let (name, value) = match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => (None, expr),
                FunctionArg::Unnamed(_) => {
                    return Err(self.ctx.error(
                        SqlState::WRONG_OBJECT_TYPE,
                        "* is an argument of aggregate functions only",
                        span,
                    ));
                }
                other => match named_argument(other) {
                    Some((name, value)) => (Some(name), value),
                    None => return Err(self.ctx.unsupported("this form of an argument", span)),
                },
            };
            let Some(name) = name else {
                if named {
                    let message = "positional argument cannot follow named argument";
                    return Err(self.ctx.error(SqlState::SYNTAX_ERROR, message, span));
                }
                arguments.push(Some(value));
                continue;
            };
            named = true;
            let at = BY_NAME
                .get(function)
                .and_then(|known| known.iter().position(|(parameter, _)| *parameter == name));
            let Some(at) = at else {
                return Err(self.no_parameter(function, list, span));
            };
            if arguments.len() <= at {
                arguments.resize(at + 1, None);
            }
            if arguments[at].replace(value).is_some() {
                let message = format!("argument name \"{name}\" used more than once");
                return Err(self.ctx.error(SqlState::SYNTAX_ERROR, message, span));
            }
        }
        let defaults = BY_NAME.get(function);
        arguments
            .into_iter()
            .enumerate()
            .map(|(at, argument)| {
                let default =
                    || defaults.and_then(|known| known.get(at)).and_then(|(_, expr)| expr.as_ref());
                argument.or_else(default).ok_or_else(|| self.no_parameter(function, list, span))
            })
            .collect()
    }

    fn no_parameter(&self, function: &str, list: &[FunctionArg], span: Span) -> SqlError {
        let shown: Vec<String> = list
            .iter()
            .map(|argument| {
                let (name, value) = match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => (None, Some(expr)),
                    other => match named_argument(other) {
                        Some((name, value)) => (Some(name), Some(value)),
                        None => (None, None),
                    },
                };
                let typ = value
                    .and_then(|value| self.plan(value).ok())
                    .map_or(ScalarType::Unknown, |value| value.typ.scalar_type);
                name.map_or_else(|| typ.to_string(), |name| format!("{name} => {typ}"))
            })
            .collect();
        self.ctx
            .error(
                SqlState::UNDEFINED_FUNCTION,
                format!("function {function}({}) does not exist", shown.join(", ")),
                span,
            )
            .with_hint(
                "No function matches the given name and argument types. You might need to add \
                 explicit type casts.",
            )
    }

    /// A call whose last argument is an array of arguments.
    pub(super) fn variadic_call(
        &self,
        name: &str,
        arguments: &[&Expr],
        array: &Expr,
    ) -> Result<TypedScalar, SqlError> {
        let ctx = self.ctx;
        let fixed = arguments.split_last().map_or(&[][..], |(_, fixed)| fixed);
        // What is written out is a call like any other.
        if let Expr::Array(array) = bare(array)
            && !array.elem.is_empty()
            && array.elem.iter().all(|element| !matches!(element, Expr::Array(_)))
        {
            let mut all = fixed.to_vec();
            all.extend(&array.elem);
            return self.call_of(name, &all);
        }
        let mut values = self.plan_each(fixed)?;
        let array = self.plan(array)?;
        let ScalarType::Array(element) = array.typ.scalar_type.clone() else {
            return Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                "VARIADIC argument must be an array",
            ));
        };
        let mut types: Vec<ScalarType> =
            values.iter().map(|value| value.typ.scalar_type.clone()).collect();
        types.push(*element);
        let resolved = resolve::function(name, &types)?;
        if !resolved.definition.variadic {
            return Err(SqlError::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("function {name} takes no VARIADIC argument"),
            ));
        }
        let last = resolved.arguments.last().cloned().unwrap_or(ScalarType::Text);
        let array = coerce_implicit(ctx, array, &ScalarType::Array(Box::new(last)))?;
        for (value, typ) in values.iter_mut().zip(&resolved.arguments) {
            *value = resolve_unknown(ctx, coerce_implicit(ctx, value.clone(), typ)?)?;
        }
        let known = argument_types(&resolved.arguments);
        let mut all = vec![
            literal::text(resolved.definition.id),
            literal::text(&known),
            literal::text(&ctx.time_zone),
        ];
        all.extend(values);
        all.push(array);
        let function = FunctionRef::by_id("call_variadic")
            .ok_or_else(|| SqlError::internal("there is no call_variadic"))?;
        call(ctx, function, all, ColumnType::new(resolved.returns))
    }
}

fn named_argument(argument: &FunctionArg) -> Option<(&str, &Expr)> {
    use FunctionArgOperator::{Assignment, RightArrow};
    match argument {
        FunctionArg::Named {
            name,
            arg: FunctionArgExpr::Expr(value),
            operator: RightArrow | Assignment,
        } => Some((&name.value, value)),
        FunctionArg::ExprNamed {
            name: Expr::Identifier(name),
            arg: FunctionArgExpr::Expr(value),
            operator: RightArrow | Assignment,
        } => Some((&name.value, value)),
        _ => None,
    }
}
