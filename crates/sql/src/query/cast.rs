//! Coercion: how a value becomes one of the type that its place wants.

use bumpalo::Bump;
use tidemill_catalog::registered::built_in_oid;
use tidemill_expr::functions::json::argument_types;
use tidemill_expr::resolve::{self, CastPath};
use tidemill_expr::{CastContext, EvalContext, FunctionRef, Volatility};
use tidemill_plan::QueryScalar;
use tidemill_repr::{ColumnType, Datum, Row, ScalarType, SqlError, SqlState};

use super::literal::{self, constant_text, unknown_text};
use super::{QueryContext, TypedScalar, created, user_function};

/// Makes a value assignable to a column.
///
/// # Errors
/// There is no such cast (`42804`), or a constant is no value of the type.
pub fn coerce_assignment(
    ctx: &QueryContext<'_>,
    scalar: TypedScalar,
    target: &ColumnType,
    column: &str,
) -> Result<TypedScalar, SqlError> {
    let from = scalar.typ.scalar_type.clone();
    match coerce(ctx, scalar, target, CastContext::Assignment)? {
        Some(coerced) => Ok(coerced),
        None => Err(SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "column \"{column}\" is of type {} but expression is of type {from}",
                target.scalar_type
            ),
        )
        .with_hint("You will need to rewrite or cast the expression.")),
    }
}

/// Makes a value one of a type; None if there is no cast in this context.
pub(super) fn coerce(
    ctx: &QueryContext<'_>,
    scalar: TypedScalar,
    target: &ColumnType,
    context: CastContext,
) -> Result<Option<TypedScalar>, SqlError> {
    let to = &target.scalar_type;
    if *to == ScalarType::Unknown {
        return Ok(Some(scalar));
    }
    if scalar.typ.scalar_type == *to {
        return apply_modifier(ctx, scalar, target, context).map(Some);
    }
    if let ScalarType::Domain(domain) = to {
        // The rules of all domains under it are tried together, in its name.
        let mut base = &domain.base;
        while let ScalarType::Domain(inner) = &base.scalar_type {
            base = &inner.base;
        }
        return match coerce(ctx, scalar, base, context)? {
            Some(value) => created::into_domain(ctx, value, domain).map(Some),
            None => Ok(None),
        };
    }
    if scalar.typ.scalar_type == ScalarType::Unknown {
        return coerce_unknown(ctx, scalar, target, context).map(Some);
    }
    if let (ScalarType::Record(_), ScalarType::Composite(definition)) =
        (&scalar.typ.scalar_type, to)
    {
        return created::into_composite(ctx, scalar, definition, context).map(Some);
    }
    if let Some(constant) = coerce_to_registered(ctx, &scalar, to)? {
        return Ok(Some(constant));
    }
    let Some(path) = resolve::cast(&scalar.typ.scalar_type, to, context) else {
        return Ok(None);
    };
    let cast = match path {
        CastPath::Relabel => relabel(scalar, ColumnType::new(to.clone())),
        // What makes bits of an integer must know how many.
        CastPath::Function(function) if matches!(function.id, "bitfromint4" | "bitfromint8") => {
            let typmod = literal::literal(Datum::Int(i64::from(target.typmod)), ScalarType::Int4);
            let typ = target.clone().nullable(scalar.typ.nullable);
            return Ok(Some(fold(call(ctx, function, vec![scalar, typmod], typ)?)));
        }
        CastPath::Function(function) => {
            fold(call(ctx, function, vec![scalar], ColumnType::new(to.clone()))?)
        }
        CastPath::ThroughText => through_text(ctx, scalar, to)?,
    };
    apply_modifier(ctx, cast, target, context).map(Some)
}

/// An implicit coercion that the rules of resolution have promised to exist.
pub(super) fn coerce_implicit(
    ctx: &QueryContext<'_>,
    scalar: TypedScalar,
    to: &ScalarType,
) -> Result<TypedScalar, SqlError> {
    if let (ScalarType::Record(_), ScalarType::Record(_)) = (&scalar.typ.scalar_type, to) {
        return Ok(scalar);
    }
    let from = scalar.typ.scalar_type.clone();
    coerce(ctx, scalar, &ColumnType::new(to.clone()), CastContext::Implicit)?.ok_or_else(|| {
        SqlError::new(SqlState::CANNOT_COERCE, format!("cannot cast type {from} to {to}"))
    })
}

/// `CAST(x AS t)`
pub(super) fn coerce_explicit(
    ctx: &QueryContext<'_>,
    scalar: TypedScalar,
    target: &ColumnType,
) -> Result<TypedScalar, SqlError> {
    let from = scalar.typ.scalar_type.clone();
    coerce(ctx, scalar, target, CastContext::Explicit)?.ok_or_else(|| {
        SqlError::new(
            SqlState::CANNOT_COERCE,
            format!("cannot cast type {from} to {}", target.scalar_type),
        )
    })
}

/// What has no type yet becomes `text`.
pub(super) fn resolve_unknown(
    ctx: &QueryContext<'_>,
    scalar: TypedScalar,
) -> Result<TypedScalar, SqlError> {
    if scalar.typ.scalar_type == ScalarType::Unknown {
        coerce_implicit(ctx, scalar, &ScalarType::Text)
    } else {
        Ok(scalar)
    }
}

/// A condition: what is not boolean is refused, naming the clause.
pub(super) fn coerce_boolean(
    ctx: &QueryContext<'_>,
    scalar: TypedScalar,
    clause: &str,
) -> Result<QueryScalar, SqlError> {
    let from = scalar.typ.scalar_type.clone();
    let target = ColumnType::new(ScalarType::Bool);
    match coerce(ctx, scalar, &target, CastContext::Assignment)? {
        Some(coerced) => Ok(coerced.expr),
        None => Err(SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!("argument of {clause} must be type boolean, not type {from}"),
        )),
    }
}

/// The common type of the branches of a construct; its modifier where all have the same.
pub(super) fn common_column_type(
    construct: &str,
    types: &[ColumnType],
) -> Result<ColumnType, SqlError> {
    let scalars: Vec<ScalarType> = types.iter().map(|typ| typ.scalar_type.clone()).collect();
    let scalar_type = match resolve::common_type(construct, &scalars)? {
        ScalarType::Unknown => ScalarType::Text,
        common => common,
    };
    let typmod = match types.first() {
        Some(first)
            if types
                .iter()
                .all(|typ| typ.scalar_type == scalar_type && typ.typmod == first.typmod) =>
        {
            first.typmod
        }
        _ => -1,
    };
    let nullable = types.iter().any(|typ| typ.nullable);
    Ok(ColumnType { scalar_type, typmod, nullable })
}

/// Makes all branches of a construct of their common type.
pub(super) fn unify(
    ctx: &QueryContext<'_>,
    construct: &str,
    scalars: Vec<TypedScalar>,
) -> Result<(Vec<QueryScalar>, ColumnType), SqlError> {
    let types: Vec<ColumnType> = scalars.iter().map(|scalar| scalar.typ.clone()).collect();
    let common = common_column_type(construct, &types)?;
    let unified = scalars
        .into_iter()
        .map(|scalar| coerce_branch(ctx, construct, scalar, &common).map(|scalar| scalar.expr))
        .collect::<Result<_, _>>()?;
    Ok((unified, common))
}

/// [`unify`], with errors at the first value that does not fit.
pub(super) fn unify_at(
    ctx: &QueryContext<'_>,
    construct: &str,
    scalars: Vec<TypedScalar>,
    spans: &[sqlparser::tokenizer::Span],
) -> Result<(Vec<QueryScalar>, ColumnType), SqlError> {
    let types: Vec<ColumnType> = scalars.iter().map(|scalar| scalar.typ.clone()).collect();
    let locate = |error: SqlError, at: usize| match spans.get(at) {
        Some(span) => ctx.locate(error, *span),
        None => error,
    };
    let common = common_column_type(construct, &types).map_err(|error| {
        let fails = |at: &usize| common_column_type(construct, &types[..=*at]).is_err();
        let at = (0..types.len()).find(fails).unwrap_or(0);
        locate(error, at)
    })?;
    let unified = scalars
        .into_iter()
        .enumerate()
        .map(|(at, scalar)| {
            coerce_branch(ctx, construct, scalar, &common)
                .map(|scalar| scalar.expr)
                .map_err(|error| locate(error, at))
        })
        .collect::<Result<_, _>>()?;
    Ok((unified, common))
}

/// Makes one branch of a construct of the common type.
pub(super) fn coerce_branch(
    ctx: &QueryContext<'_>,
    construct: &str,
    scalar: TypedScalar,
    common: &ColumnType,
) -> Result<TypedScalar, SqlError> {
    let from = scalar.typ.scalar_type.clone();
    let target = ColumnType::new(common.scalar_type.clone());
    coerce(ctx, scalar, &target, CastContext::Implicit)?.ok_or_else(|| {
        SqlError::new(
            SqlState::CANNOT_COERCE,
            format!("{construct} could not convert type {from} to {}", common.scalar_type),
        )
    })
}

/// A call with arguments of the right types.
pub(super) fn call(
    ctx: &QueryContext<'_>,
    function: FunctionRef,
    arguments: Vec<TypedScalar>,
    typ: ColumnType,
) -> Result<TypedScalar, SqlError> {
    let differs = match function.volatility {
        Volatility::Immutable => false,
        Volatility::Stable => !function.needs_time_zone,
        Volatility::Volatile => true,
    };
    if ctx.maintained && differs {
        return Err(not_maintainable(function.name));
    }
    let types = function.needs_types.then(|| {
        let types: Vec<ScalarType> =
            arguments.iter().map(|argument| argument.typ.scalar_type.clone()).collect();
        argument_types(&types)
    });
    let given = arguments.first().map(|argument| argument.typ.scalar_type.clone());
    let given = given.unwrap_or(ScalarType::Unknown);
    let mut arguments: Vec<QueryScalar> =
        arguments.into_iter().map(|argument| argument.expr).collect();
    arguments.extend(types.map(|types| literal::text(&types).expr));
    match function.id {
        resolve::TEXT_TO_TYPED => {
            arguments.push(literal::text(&resolve::type_argument(&typ.scalar_type)).expr);
        }
        resolve::TYPED_TO_TEXT => {
            arguments.push(literal::text(&resolve::type_argument(&given)).expr);
        }
        _ => {}
    }
    if function.needs_time_zone {
        let settings = match function.is_text_form() {
            true => ctx.settings.to_argument(),
            false => ctx.time_zone.clone(),
        };
        arguments.push(literal::text(&settings).expr);
    }
    let expr = QueryScalar::Call { function, arguments, typ: typ.clone() };
    Ok(TypedScalar { expr, typ })
}

/// Whether an expression may give another value each time.
pub(super) fn is_volatile(scalar: &QueryScalar) -> bool {
    match scalar {
        QueryScalar::Call { function, arguments, .. } => {
            function.volatility == Volatility::Volatile || arguments.iter().any(is_volatile)
        }
        QueryScalar::And(parts) | QueryScalar::Or(parts) | QueryScalar::Coalesce(parts) => {
            parts.iter().any(is_volatile)
        }
        QueryScalar::Not(part) | QueryScalar::IsNull(part) => is_volatile(part),
        QueryScalar::If(condition, then, other) => {
            [condition, then, other].into_iter().any(|part| is_volatile(part))
        }
        QueryScalar::Column(_)
        | QueryScalar::Parameter(..)
        | QueryScalar::Literal(..)
        | QueryScalar::Exists(_)
        | QueryScalar::Subquery(_) => false,
    }
}

/// What a view must not use.
pub(super) fn not_maintainable(name: &str) -> SqlError {
    SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("function {name}() cannot be used in a query that is maintained"),
    )
    .with_detail("Its result depends on the session or on the time of the call.")
}

/// The value of a call of an immutable function on constants; other expressions stay.
pub(super) fn fold(scalar: TypedScalar) -> TypedScalar {
    let folded = match &scalar.expr {
        QueryScalar::Call { function, arguments, typ }
            if function.volatility != Volatility::Volatile =>
        {
            fold_call(*function, arguments, typ)
        }
        _ => None,
    };
    match folded {
        Some(QueryScalar::Literal(value, typ)) => {
            TypedScalar { expr: QueryScalar::Literal(value, typ.clone()), typ }
        }
        _ => scalar,
    }
}

fn fold_call(
    function: FunctionRef,
    arguments: &[QueryScalar],
    typ: &ColumnType,
) -> Option<QueryScalar> {
    let rows: Vec<&Row> = arguments
        .iter()
        .map(|argument| match argument {
            QueryScalar::Literal(Ok(row), _) => Some(row),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let datums: Vec<Datum<'_>> = rows.iter().map(|row| row.iter().next()).collect::<Option<_>>()?;
    let arena = Bump::new();
    let value = if function.strict && datums.iter().any(Datum::is_null) {
        Ok(Row::pack([Datum::Null]))
    } else {
        (function.eval)(&datums, EvalContext { arena: &arena }).map(|datum| Row::pack([datum]))
    };
    let nullable = match &value {
        Ok(row) => row.iter().next().is_none_or(|datum| datum.is_null()),
        Err(_) => true,
    };
    Some(QueryScalar::Literal(value, typ.clone().nullable(nullable)))
}

/// The same datum under another type.
pub(super) fn relabel(mut scalar: TypedScalar, typ: ColumnType) -> TypedScalar {
    let typ = typ.nullable(scalar.typ.nullable);
    if let QueryScalar::Literal(_, old) | QueryScalar::Call { typ: old, .. } = &mut scalar.expr {
        *old = typ.clone();
    }
    TypedScalar { expr: scalar.expr, typ }
}

/// A literal or parameter without a type takes the type of its place.
fn coerce_unknown(
    ctx: &QueryContext<'_>,
    scalar: TypedScalar,
    target: &ColumnType,
    context: CastContext,
) -> Result<TypedScalar, SqlError> {
    if let QueryScalar::Parameter(number, _) = scalar.expr {
        let known = {
            let mut types = ctx.parameters.borrow_mut();
            let slot = types.get_mut(number - 1);
            slot.and_then(|slot| {
                if slot.as_ref().is_none_or(|typ| *typ == ScalarType::Unknown) {
                    *slot = Some(target.scalar_type.clone());
                }
                slot.clone()
            })
        };
        let known = ColumnType::new(known.unwrap_or_else(|| target.scalar_type.clone()));
        let typed =
            TypedScalar { expr: QueryScalar::Parameter(number, known.clone()), typ: known.clone() };
        if known.scalar_type == target.scalar_type {
            return apply_modifier(ctx, typed, target, context);
        }
        return Err(SqlError::new(
            SqlState::INDETERMINATE_DATATYPE,
            format!("inconsistent types deduced for parameter ${number}"),
        )
        .with_detail(format!("{} versus {}", known.scalar_type, target.scalar_type)));
    }
    match unknown_text(&scalar.expr) {
        Some(Some(text)) => {
            if let Some(constant) = registered_constant(ctx, &text, &target.scalar_type)? {
                return Ok(constant);
            }
            // An explicit cast cuts what is too long; assignment refuses it.
            let plain = ColumnType::new(target.scalar_type.clone());
            let cut = target.character_length().is_some() || is_bits(&target.scalar_type);
            let cuts = cut && context == CastContext::Explicit;
            if cuts {
                let parsed = literal::parse(ctx, &text, &plain)?;
                apply_modifier(ctx, parsed, target, context)
            } else {
                literal::parse(ctx, &text, target)
            }
        }
        Some(None) => {
            let typ = target.clone().nullable(true);
            Ok(TypedScalar {
                expr: QueryScalar::Literal(Ok(Row::pack([Datum::Null])), typ.clone()),
                typ,
            })
        }
        // A column that was left without a type holds text.
        None => {
            let scalar = relabel(scalar, ColumnType::new(ScalarType::Text));
            let context = CastContext::Explicit;
            coerce(ctx, scalar, target, context)?.ok_or_else(|| {
                SqlError::new(
                    SqlState::CANNOT_COERCE,
                    format!("cannot cast type text to {}", target.scalar_type),
                )
            })
        }
    }
}

fn is_bits(typ: &ScalarType) -> bool {
    matches!(typ, ScalarType::Bit | ScalarType::Varbit)
}

/// Applies `(n)` of a type to a value of the type.
fn apply_modifier(
    ctx: &QueryContext<'_>,
    scalar: TypedScalar,
    target: &ColumnType,
    context: CastContext,
) -> Result<TypedScalar, SqlError> {
    if target.typmod < 0 || target.typmod == scalar.typ.typmod {
        return Ok(scalar);
    }
    let Some(function) = resolve::typmod_cast(&target.scalar_type) else {
        return Ok(scalar);
    };
    let typmod = literal::literal(Datum::Int(i64::from(target.typmod)), ScalarType::Int4);
    let mut arguments = vec![scalar, typmod];
    if matches!(target.scalar_type, ScalarType::Varchar | ScalarType::Bpchar)
        || is_bits(&target.scalar_type)
    {
        let explicit = Datum::Bool(context == CastContext::Explicit);
        arguments.push(literal::literal(explicit, ScalarType::Bool));
    }
    let nullable = arguments[0].typ.nullable;
    Ok(fold(call(ctx, function, arguments, target.clone().nullable(nullable))?))
}

/// By way of the text form.
fn through_text(
    ctx: &QueryContext<'_>,
    scalar: TypedScalar,
    to: &ScalarType,
) -> Result<TypedScalar, SqlError> {
    let from = scalar.typ.scalar_type.clone();
    let step = |scalar: TypedScalar, to: &ScalarType| {
        let from = scalar.typ.scalar_type.clone();
        match resolve::cast(&from, to, CastContext::Explicit) {
            Some(CastPath::Function(function)) => {
                call(ctx, function, vec![scalar], ColumnType::new(to.clone())).map(fold)
            }
            Some(CastPath::Relabel) => Ok(relabel(scalar, ColumnType::new(to.clone()))),
            _ => Err(SqlError::unsupported(format!("the cast from {from} to {to}"))),
        }
    };
    if from == ScalarType::Text || *to == ScalarType::Text {
        return step(scalar, to);
    }
    let text = step(scalar, &ScalarType::Text)?;
    step(text, to)
}

/// A constant text as `regclass` or `regtype`; None if it is something else.
fn coerce_to_registered(
    ctx: &QueryContext<'_>,
    scalar: &TypedScalar,
    to: &ScalarType,
) -> Result<Option<TypedScalar>, SqlError> {
    let texts = [ScalarType::Text, ScalarType::Varchar, ScalarType::Name];
    if !to.is_reg() || !texts.contains(&scalar.typ.scalar_type) {
        return Ok(None);
    }
    match &scalar.expr {
        QueryScalar::Literal(Ok(row), _) => match constant_text(row) {
            Some(Some(text)) => registered_constant(ctx, &text, to),
            Some(None) => Ok(Some(literal::null(to.clone()))),
            None => Ok(None),
        },
        _ => Err(SqlError::unsupported(format!("a cast of a text that is no constant to {to}"))),
    }
}

/// `'t'::regclass`, `'int4'::regtype`, `'now'::regproc`
fn registered_constant(
    ctx: &QueryContext<'_>,
    text: &str,
    to: &ScalarType,
) -> Result<Option<TypedScalar>, SqlError> {
    if !to.is_reg() {
        return Ok(None);
    }
    let plain = text.trim();
    let oid = match to {
        _ if plain == "-" => 0,
        _ if plain.starts_with(|c: char| c.is_ascii_digit()) && plain.parse::<u32>().is_ok() => {
            plain.parse().unwrap_or(0)
        }
        ScalarType::Regclass => ctx.relations.oid(&name_parts(text)?)?.0,
        ScalarType::Regtype => type_oid(ctx, text)?,
        ScalarType::Regnamespace | ScalarType::Regrole => {
            let name = match name_parts(text)?.as_slice() {
                [name] => name.clone(),
                _ => return Err(SqlError::new(SqlState::INVALID_NAME, "invalid name syntax")),
            };
            match ctx.relations.names() {
                Some(names) => names.schema_or_role(to, &name)?,
                None => return Ok(None),
            }
        }
        ScalarType::Regproc | ScalarType::Regprocedure => {
            match user_function::oid_by_text(ctx, text, to) {
                Ok(oid) => oid.0,
                Err(error) if error.code == SqlState::AMBIGUOUS_FUNCTION => return Err(error),
                Err(_) => built_in(ctx, text, to)?,
            }
        }
        _ => built_in(ctx, text, to)?,
    };
    Ok(Some(literal::literal(Datum::Int(i64::from(oid)), to.clone())))
}

fn built_in(ctx: &QueryContext<'_>, text: &str, to: &ScalarType) -> Result<u32, SqlError> {
    built_in_oid(to, text, &|name| {
        let oid = type_oid(ctx, name)?;
        let names = ctx.relations.names();
        let shown = names.and_then(|names| names.shown(&ScalarType::Regtype, oid));
        Ok(shown.unwrap_or_else(|| oid.to_string()))
    })
}

fn type_oid(ctx: &QueryContext<'_>, text: &str) -> Result<u32, SqlError> {
    let missing =
        || SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{text}\" does not exist"));
    let plain = text.trim().trim_start_matches("pg_catalog.").trim_matches('"');
    if let Some(oid) = tidemill_catalog::builtin::pg_catalog::pseudo_type(plain) {
        return Ok(oid);
    }
    let dialect = sqlparser::dialect::PostgreSqlDialect {};
    let mut parser =
        sqlparser::parser::Parser::new(&dialect).try_with_sql(text).map_err(|_| missing())?;
    let data_type = parser.parse_data_type().map_err(|_| missing())?;
    // Places are those in the text alone.
    let typ = ctx.data_type(&data_type).map_err(|error| SqlError { position: None, ..error })?;
    Ok(typ.scalar_type.oid().0)
}

/// The parts of a name in a text: folded to lower case unless in double quotes.
pub(super) fn name_parts(text: &str) -> Result<Vec<String>, SqlError> {
    let invalid = || SqlError::new(SqlState::INVALID_NAME, "invalid name syntax");
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let part;
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut tail = quoted;
            loop {
                let (before, after) = tail.split_once('"').ok_or_else(invalid)?;
                name.push_str(before);
                match after.strip_prefix('"') {
                    Some(after) => {
                        name.push('"');
                        tail = after;
                    }
                    None => {
                        rest = after;
                        break;
                    }
                }
            }
            part = name;
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            part = rest[..end].trim().to_lowercase();
            rest = &rest[end..];
        }
        if part.is_empty() {
            return Err(invalid());
        }
        parts.push(part);
        match rest.strip_prefix('.') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Ok(parts),
            None => return Err(invalid()),
        }
    }
}

/// The value of an expression of constants; anything else stays as it is.
pub(super) fn fold_deep(scalar: QueryScalar) -> QueryScalar {
    match scalar {
        QueryScalar::Call { function, arguments, typ } => {
            let arguments: Vec<QueryScalar> = arguments.into_iter().map(fold_deep).collect();
            let folded = match function.volatility {
                Volatility::Volatile => None,
                _ => fold_call(function, &arguments, &typ),
            };
            folded.unwrap_or(QueryScalar::Call { function, arguments, typ })
        }
        other => other,
    }
}
