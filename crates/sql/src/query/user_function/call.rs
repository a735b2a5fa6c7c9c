//! Which function a call means, and what its arguments are.

use std::sync::Arc;

use sqlparser::ast::{BinaryOperator, Expr, FunctionArg, FunctionArgExpr, Spanned};
use sqlparser::tokenizer::Span;
use tidemill_catalog::role::{Privilege, Securable};
use tidemill_catalog::{Function, Item, ParameterType};
use tidemill_expr::function::TypePattern;
use tidemill_expr::resolve;
use tidemill_repr::{Oid, ScalarType, SqlError, SqlState};

use super::{Call, body};
use crate::query::cast::{coerce_implicit, name_parts, resolve_unknown};
use crate::query::error::name_of;
use crate::query::expr::ExprContext;
use crate::query::{QueryContext, TypedScalar};

/// An argument of a call.
pub(in crate::query) struct Argument {
    /// Its name, where it is given by name.
    pub name: Option<String>,
    /// What it is.
    pub value: TypedScalar,
}

impl Argument {
    /// Arguments by their places alone.
    pub fn unnamed(values: Vec<TypedScalar>) -> Vec<Argument> {
        values.into_iter().map(|value| Argument { name: None, value }).collect()
    }
}

/// The functions that a name may mean.
pub(in crate::query) fn candidates(ctx: &QueryContext<'_>, parts: &[String]) -> Vec<Arc<Item>> {
    let Some(only) = &ctx.only_functions else { return ctx.relations.functions(parts) };
    let (Some(catalog), Some((last, before))) = (ctx.relations.catalog(), parts.split_last())
    else {
        return Vec::new();
    };
    let fits = |item: &&Arc<Item>| {
        item.function().is_some()
            && item.name.item == *last
            && before.last().is_none_or(|schema| item.name.schema == *schema)
    };
    only.iter().filter_map(|id| catalog.item(*id)).filter(fits).cloned().collect()
}

/// Plans the arguments of a call.
pub(in crate::query) fn arguments_of(
    planner: &ExprContext<'_>,
    arguments: &[FunctionArg],
    span: Span,
) -> Result<Vec<Argument>, SqlError> {
    let mut planned: Vec<Argument> = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let assigned;
        let (name, arg) = match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp {
                left,
                op: BinaryOperator::Assignment,
                right,
            })) if matches!(&**left, Expr::Identifier(_)) => {
                assigned = FunctionArgExpr::Expr((**right).clone());
                match &**left {
                    Expr::Identifier(name) => (Some(name), &assigned),
                    _ => (None, &assigned),
                }
            }
            FunctionArg::Unnamed(arg) => (None, arg),
            FunctionArg::Named { name, arg, .. } => (Some(name), arg),
            FunctionArg::ExprNamed { name: Expr::Identifier(name), arg, .. } => (Some(name), arg),
            FunctionArg::ExprNamed { .. } => {
                return Err(planner.ctx.unsupported("this name of an argument", span));
            }
        };
        let FunctionArgExpr::Expr(expr) = arg else {
            return Err(planner.ctx.unsupported("* as an argument", span));
        };
        let name = name.map(name_of);
        if name.is_none() && planned.iter().any(|argument| argument.name.is_some()) {
            return Err(planner.ctx.error(
                SqlState::SYNTAX_ERROR,
                "positional argument cannot follow named argument",
                expr.span(),
            ));
        }
        if let Some(name) = &name
            && planned.iter().any(|argument| argument.name.as_ref() == Some(name))
        {
            return Err(planner.ctx.error(
                SqlState::SYNTAX_ERROR,
                format!("argument name \"{name}\" used more than once"),
                expr.span(),
            ));
        }
        planned.push(Argument { name, value: planner.plan(expr)? });
    }
    Ok(planned)
}

/// Which input each argument is; None if the function does not take them.
fn places(function: &Function, arguments: &[Argument]) -> Option<Vec<usize>> {
    let inputs: Vec<_> = function.inputs().collect();
    let mut places = Vec::with_capacity(arguments.len());
    for (at, argument) in arguments.iter().enumerate() {
        let place = match &argument.name {
            None => at,
            Some(name) => inputs.iter().position(|input| input.name.as_ref() == Some(name))?,
        };
        if place >= inputs.len() || places.contains(&place) {
            return None;
        }
        places.push(place);
    }
    let missing = |place: &usize| !places.contains(place);
    let all_have_defaults = (0..inputs.len())
        .filter(missing)
        .all(|place| inputs.get(place).is_some_and(|input| input.default.is_some()));
    all_have_defaults.then_some(places)
}

/// Whether one of the functions takes exactly these types.
pub(in crate::query) fn exact_overload(items: &[Arc<Item>], types: &[ScalarType]) -> bool {
    items.iter().filter_map(|item| item.function()).any(|function| {
        let patterns: Vec<TypePattern> =
            function.inputs().map(|input| input.typ.pattern()).collect();
        let is = |(pattern, typ): (&TypePattern, &ScalarType)| matches!(pattern, TypePattern::Is(wanted) if wanted == typ);
        patterns.len() == types.len() && patterns.iter().zip(types).all(is)
    })
}

/// The call as errors write it: `f(integer, b => text)`.
fn written(name: &str, arguments: &[Argument]) -> String {
    let parts: Vec<String> = arguments
        .iter()
        .map(|argument| match &argument.name {
            Some(name) => format!("{name} => {}", argument.value.typ.scalar_type),
            None => argument.value.typ.scalar_type.to_string(),
        })
        .collect();
    format!("{name}({})", parts.join(", "))
}

/// Finds the function that a call means, and makes its arguments of the right types.
pub(in crate::query) fn resolve_call(
    ctx: &QueryContext<'_>,
    name: &str,
    items: &[Arc<Item>],
    arguments: Vec<Argument>,
) -> Result<Call, SqlError> {
    let types: Vec<ScalarType> =
        arguments.iter().map(|argument| argument.value.typ.scalar_type.clone()).collect();
    let mut overloads: Vec<(usize, Vec<TypePattern>)> = Vec::new();
    let mut taken: Vec<(usize, Vec<usize>)> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let Some(function) = item.function() else { continue };
        let Some(places) = places(function, &arguments) else { continue };
        let inputs: Vec<_> = function.inputs().collect();
        let patterns: Vec<TypePattern> = places
            .iter()
            .filter_map(|place| inputs.get(*place).map(|input| input.typ.pattern()))
            .collect();
        // Of two that take the same, the one that needs no defaults.
        let full = |at: usize| {
            items
                .get(at)
                .and_then(|item| item.function())
                .is_some_and(|function| function.inputs().count() == arguments.len())
        };
        let same =
            overloads.iter().position(|(_, known)| format!("{known:?}") == format!("{patterns:?}"));
        match same {
            Some(known) if full(at) && !full(overloads[known].0) => {
                overloads[known].0 = at;
                taken[known] = (at, places);
            }
            Some(known) if full(overloads[known].0) => {}
            _ => {
                overloads.push((at, patterns));
                taken.push((at, places));
            }
        }
    }
    let written = written(name, &arguments);
    let (at, wanted) = resolve::overload(&written, &types, &overloads)?;
    let (Some(item), Some((_, places))) =
        (items.get(at), taken.iter().find(|(known, _)| *known == at))
    else {
        return Err(SqlError::internal("a function that is none"));
    };
    ctx.used_functions.borrow_mut().insert(item.id);
    let on = Securable::Item(item.id);
    if let Some(catalog) = ctx.relations.catalog().filter(|_| !ctx.trusted)
        && catalog.item(item.id).is_some()
        && !catalog.has_privilege(&ctx.user, &on, Privilege::Execute)
    {
        return Err(crate::statements::privilege_denied(
            catalog,
            &ctx.user,
            &on,
            Privilege::Execute,
        ));
    }
    with_arguments(ctx, Arc::clone(item), places, arguments, &wanted)
}

fn with_arguments(
    ctx: &QueryContext<'_>,
    item: Arc<Item>,
    places: &[usize],
    arguments: Vec<Argument>,
    wanted: &[ScalarType],
) -> Result<Call, SqlError> {
    let Some(function) = item.function() else {
        return Err(SqlError::internal("a function that is none"));
    };
    let inputs: Vec<_> = function.inputs().cloned().collect();
    let mut element = None;
    for (place, typ) in places.iter().zip(wanted) {
        let pattern = inputs.get(*place).map(|input| input.typ.pattern());
        if let Some(found) = pattern.and_then(|pattern| resolve::element_of(&pattern, typ)) {
            element.get_or_insert(found);
        }
    }
    let mut values: Vec<Option<TypedScalar>> = vec![None; inputs.len()];
    for ((place, argument), typ) in places.iter().zip(arguments).zip(wanted) {
        let value = resolve_unknown(ctx, coerce_implicit(ctx, argument.value, typ)?)?;
        if let Some(slot) = values.get_mut(*place) {
            *slot = Some(value);
        }
    }
    let depends_on = item.depends_on.clone();
    let mut call = Call { item: Arc::clone(&item), arguments: Vec::new(), element };
    for (value, input) in values.into_iter().zip(&inputs) {
        let value = match (value, &input.default) {
            (Some(value), _) => value,
            (None, Some(text)) => {
                let typ = call.concrete(&input.typ)?;
                body::default_value(ctx, &depends_on, text, &typ)?
            }
            (None, None) => return Err(SqlError::internal("an argument without value")),
        };
        call.arguments.push(value);
    }
    Ok(call)
}

/// The function of a name, and of types in parentheses, as `regproc` or `regprocedure`.
pub(in crate::query) fn oid_by_text(
    ctx: &QueryContext<'_>,
    text: &str,
    to: &ScalarType,
) -> Result<Oid, SqlError> {
    let (name, types) = match (to, text.split_once('(')) {
        (ScalarType::Regprocedure, Some((name, types))) => {
            let types = types.trim().strip_suffix(')').unwrap_or(types);
            (name.trim(), Some(types))
        }
        (ScalarType::Regprocedure, None) => {
            let message = "expected a left parenthesis";
            return Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message));
        }
        _ => (text, None),
    };
    let parts = name_parts(name)?;
    let mut items = candidates(ctx, &parts);
    if let Some(types) = types {
        let shown: String = types.split(',').map(str::trim).collect::<Vec<_>>().join(",");
        items.retain(|item| {
            item.function().is_some_and(|function| {
                function.argument_types() == shown || same_types(ctx, function, types)
            })
        });
    }
    match items.as_slice() {
        [one] => Ok(one.oid),
        [] if super::has_builtin(parts.last().map_or("", String::as_str)) => {
            Err(SqlError::unsupported(format_args!("the name of a built-in function as {to}")))
        }
        [] => Err(SqlError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("function \"{text}\" does not exist"),
        )),
        _ => Err(SqlError::new(
            SqlState::AMBIGUOUS_FUNCTION,
            format!("more than one function named \"{text}\""),
        )),
    }
}

/// Whether a function takes the types of a list.
fn same_types(ctx: &QueryContext<'_>, function: &Function, types: &str) -> bool {
    let dialect = sqlparser::dialect::PostgreSqlDialect {};
    let read = |text: &str| {
        let mut parser = sqlparser::parser::Parser::new(&dialect).try_with_sql(text.trim()).ok()?;
        let data_type = parser.parse_data_type().ok()?;
        Some(ctx.data_type(&data_type).ok()?.scalar_type)
    };
    let given: Vec<Option<ScalarType>> = match types.trim() {
        "" => Vec::new(),
        types => types.split(',').map(read).collect(),
    };
    let taken = function.inputs().map(|input| match &input.typ {
        ParameterType::Is(typ) => Some(typ.clone()),
        ParameterType::Any(_) => None,
    });
    taken.eq(given)
}
