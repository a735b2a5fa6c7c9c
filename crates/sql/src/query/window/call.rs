//! Calls with OVER: the window functions, and aggregates over frames.

use std::rc::Rc;

use sqlparser::ast::{
    DuplicateTreatment, Function, FunctionArgumentClause, FunctionArgumentList, FunctionArguments,
    NullTreatment, Spanned, WindowType,
};
use tidemill_expr::resolve;
use tidemill_expr::window::WindowFunction;
use tidemill_plan::QueryScalar;
use tidemill_repr::{ColumnType, ScalarType, SqlError, SqlState};

use super::{PARTS, Window, WindowPlace, Windows, windowing_error};
use crate::query::aggregate::{self, Collector, is_aggregate, is_missing};
use crate::query::cast::{coerce_implicit, resolve_unknown, unify};
use crate::query::expr::ExprContext;
use crate::query::{TypedScalar, walk};

/// The window functions of a name.
fn window_function(name: &str) -> Option<WindowFunction> {
    Some(match name {
        "row_number" => WindowFunction::RowNumber,
        "rank" => WindowFunction::Rank,
        "dense_rank" => WindowFunction::DenseRank,
        "percent_rank" => WindowFunction::PercentRank,
        "cume_dist" => WindowFunction::CumeDist,
        "ntile" => WindowFunction::Ntile,
        "lag" => WindowFunction::Lag,
        "lead" => WindowFunction::Lead,
        "first_value" => WindowFunction::FirstValue,
        "last_value" => WindowFunction::LastValue,
        "nth_value" => WindowFunction::NthValue,
        _ => return None,
    })
}

/// Whether a function is one that needs OVER.
pub(in crate::query) fn is_window_function(name: &str) -> bool {
    window_function(name).is_some()
}

/// Plans a call with OVER, or of a function that needs it.
pub(in crate::query) fn plan_window_call(
    planner: &ExprContext<'_>,
    name: &str,
    function: &Function,
) -> Result<TypedScalar, SqlError> {
    let ctx = planner.ctx;
    let span = function.name.span();
    let Some(over) = &function.over else {
        let message = format!("window function {name} requires an OVER clause");
        return Err(ctx.error(SqlState::WRONG_OBJECT_TYPE, message, span));
    };
    if !function.within_group.is_empty() {
        let message = format!("OVER is not supported for ordered-set aggregate {name}");
        return Err(ctx.error(SqlState::FEATURE_NOT_SUPPORTED, message, span));
    }
    let kind = window_function(name);
    if kind.is_none() && !is_aggregate(name) {
        return Err(not_for_windows(planner, name, function));
    }
    let windows = allowed(planner).map_err(|error| ctx.locate(error, span))?;
    let window = match over {
        WindowType::NamedWindow(ident) => windows.named(planner, ident)?,
        WindowType::WindowSpec(spec) => windows.window(planner, spec)?,
    };
    let inner = ExprContext { windows: WindowPlace::Call, sets: None, ..planner.clone() };
    let planned = match kind {
        Some(kind) => plan_function(&inner, windows, &window, kind, function, name),
        None => plan_aggregate(&inner, windows, &window, function, name),
    };
    planned.map_err(|error| ctx.locate(error, span))
}

fn not_for_windows(planner: &ExprContext<'_>, name: &str, function: &Function) -> SqlError {
    let ctx = planner.ctx;
    let span = function.name.span();
    if is_missing(name) {
        return ctx.unsupported(&format!("function {name}()"), span);
    }
    let planned = planner.plain_arguments(function).and_then(|arguments| {
        let arguments = planner.plan_each(&arguments)?;
        let types: Vec<ScalarType> =
            arguments.iter().map(|argument| argument.typ.scalar_type.clone()).collect();
        resolve::function(name, &types)
    });
    match planned {
        Err(error) => ctx.locate(error, span),
        Ok(_) => {
            let message = format!(
                "OVER specified, but {name} is not a window function nor an aggregate function"
            );
            ctx.error(SqlState::WRONG_OBJECT_TYPE, message, span)
        }
    }
}

fn allowed<'e>(planner: &ExprContext<'e>) -> Result<&'e Windows, SqlError> {
    Err(match planner.windows {
        WindowPlace::Allowed(windows) => return Ok(windows),
        WindowPlace::Clause => {
            let clause = match planner.clause {
                "JOIN/ON" => "JOIN conditions",
                clause => clause,
            };
            windowing_error(format!("window functions are not allowed in {clause}"))
        }
        WindowPlace::Call => windowing_error("window function calls cannot be nested"),
        WindowPlace::Definition => {
            windowing_error("window functions are not allowed in window definitions")
        }
        WindowPlace::Aggregate => SqlError::new(
            SqlState::GROUPING_ERROR,
            "aggregate function calls cannot contain window function calls",
        ),
    })
}

fn not_implemented(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
}

fn argument_list(function: &Function) -> Option<&FunctionArgumentList> {
    match &function.args {
        FunctionArguments::List(list) => Some(list),
        _ => None,
    }
}

/// Whether NULLs are ignored, by either place in which that can be said.
fn null_treatment(function: &Function) -> Option<NullTreatment> {
    let clauses = argument_list(function).map(|list| list.clauses.as_slice()).unwrap_or_default();
    function.null_treatment.or_else(|| {
        clauses.iter().find_map(|clause| match clause {
            FunctionArgumentClause::IgnoreOrRespectNulls(treatment) => Some(*treatment),
            _ => None,
        })
    })
}

/// A window function proper.
fn plan_function(
    planner: &ExprContext<'_>,
    windows: &Windows,
    window: &Window,
    kind: WindowFunction,
    function: &Function,
    name: &str,
) -> Result<TypedScalar, SqlError> {
    let list = argument_list(function);
    if list.is_some_and(|list| list.duplicate_treatment == Some(DuplicateTreatment::Distinct)) {
        return Err(not_implemented("DISTINCT is not implemented for window functions"));
    }
    let ordered = |clause: &FunctionArgumentClause| {
        !matches!(clause, FunctionArgumentClause::IgnoreOrRespectNulls(_))
    };
    if list.is_some_and(|list| list.clauses.iter().any(ordered)) {
        return Err(not_implemented("aggregate ORDER BY is not implemented for window functions"));
    }
    if function.filter.is_some() {
        return Err(not_implemented(
            "FILTER is not implemented for non-aggregate window functions",
        ));
    }
    let ignore_nulls = match null_treatment(function) {
        None => false,
        Some(treatment) => {
            let takes = matches!(
                kind,
                WindowFunction::Lag
                    | WindowFunction::Lead
                    | WindowFunction::FirstValue
                    | WindowFunction::LastValue
                    | WindowFunction::NthValue
            );
            if !takes {
                let message = format!("function {name} does not allow RESPECT/IGNORE NULLS");
                return Err(not_implemented(message));
            }
            treatment == NullTreatment::IgnoreNulls
        }
    };
    let arguments = planner.plan_each(&planner.plain_arguments(function)?)?;
    let (arguments, typ) = coerce_arguments(planner, &kind, name, arguments)?;
    Ok(windows.add(window, kind, arguments, ignore_nulls, typ))
}

/// Arguments of the right types, and the type of the result.
fn coerce_arguments(
    planner: &ExprContext<'_>,
    kind: &WindowFunction,
    name: &str,
    arguments: Vec<TypedScalar>,
) -> Result<(Vec<QueryScalar>, ColumnType), SqlError> {
    let ctx = planner.ctx;
    let types: Vec<String> =
        arguments.iter().map(|argument| argument.typ.scalar_type.to_string()).collect();
    let missing = || {
        let message = format!("function {name}({}) does not exist", types.join(", "));
        SqlError::new(SqlState::UNDEFINED_FUNCTION, message).with_hint(
            "No function matches the given name and argument types. You might need to add explicit \
             type casts.",
        )
    };
    let int4 = |argument: TypedScalar| {
        let fits = resolve::can_coerce(&argument.typ.scalar_type, &ScalarType::Int4);
        if fits { coerce_implicit(ctx, argument, &ScalarType::Int4) } else { Err(missing()) }
    };
    let any = |argument: TypedScalar| {
        if argument.typ.scalar_type == ScalarType::Unknown {
            return Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                "could not determine polymorphic type because input has type unknown",
            ));
        }
        Ok(argument)
    };
    let fixed = |typ: ScalarType| Ok((Vec::new(), ColumnType::new(typ).nullable(false)));
    let count = arguments.len();
    let mut arguments = arguments.into_iter();
    let mut next = || arguments.next().ok_or_else(missing);
    match (kind, count) {
        (WindowFunction::RowNumber | WindowFunction::Rank | WindowFunction::DenseRank, 0) => {
            fixed(ScalarType::Int8)
        }
        (WindowFunction::PercentRank | WindowFunction::CumeDist, 0) => fixed(ScalarType::Float8),
        (WindowFunction::Ntile, 1) => {
            Ok((vec![int4(next()?)?.expr], ColumnType::new(ScalarType::Int4)))
        }
        (WindowFunction::FirstValue | WindowFunction::LastValue, 1)
        | (WindowFunction::Lag | WindowFunction::Lead, 1) => {
            let value = any(next()?)?;
            Ok((vec![value.expr], value.typ.nullable(true)))
        }
        (WindowFunction::NthValue, 2) | (WindowFunction::Lag | WindowFunction::Lead, 2) => {
            let (value, offset) = (any(next()?)?, int4(next()?)?);
            Ok((vec![value.expr, offset.expr], value.typ.nullable(true)))
        }
        (WindowFunction::Lag | WindowFunction::Lead, 3) => {
            let (value, offset, default) = (next()?, int4(next()?)?, next()?);
            let unknown = value.typ.scalar_type == ScalarType::Unknown
                && default.typ.scalar_type == ScalarType::Unknown;
            let both = if unknown {
                vec![resolve_unknown(ctx, value)?, resolve_unknown(ctx, default)?]
            } else {
                vec![value, default]
            };
            let (mut both, typ) = unify(ctx, name, both).map_err(|error| {
                // No common type is no such function.
                if error.code == SqlState::DATATYPE_MISMATCH { missing() } else { error }
            })?;
            both.insert(1, offset.expr);
            Ok((both, typ.nullable(true)))
        }
        _ => Err(missing()),
    }
}

/// An aggregate over frames: each kind it is made of is a call of its own.
fn plan_aggregate(
    planner: &ExprContext<'_>,
    windows: &Windows,
    window: &Window,
    function: &Function,
    name: &str,
) -> Result<TypedScalar, SqlError> {
    if null_treatment(function).is_some() {
        return Err(not_implemented("aggregate functions do not accept RESPECT/IGNORE NULLS"));
    }
    if let Some(list) = argument_list(function) {
        if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
            return Err(not_implemented("DISTINCT is not implemented for window functions"));
        }
        if !list.clauses.is_empty() {
            return Err(not_implemented(
                "aggregate ORDER BY is not implemented for window functions",
            ));
        }
    }
    let parts = Rc::new(Collector::new(PARTS));
    let mut planned = aggregate::plan_over(planner, &parts, name, function)?;
    let calls: Vec<TypedScalar> = parts
        .calls()
        .into_iter()
        .map(|call| {
            let function = WindowFunction::Aggregate(call.kind);
            windows.add(window, function, vec![call.argument], false, call.typ)
        })
        .collect();
    walk::walk_scalar(&mut planned.expr, 0, &mut |part, depth| {
        if let QueryScalar::Column(reference) = part
            && reference.level == depth
            && let Some(index) = reference.column.checked_sub(PARTS)
            && let Some(call) = calls.get(index)
        {
            *part = call.expr.clone();
            return false;
        }
        true
    });
    Ok(planned)
}
