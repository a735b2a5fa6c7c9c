//! Calls: by name, and in the special syntax that SQL has for some functions.

use sqlparser::ast::{
    CeilFloorKind, DateTimeField, DuplicateTreatment, Expr, Function, FunctionArguments,
    ObjectName, Spanned, TrimWhereField,
};
use sqlparser::tokenizer::Span;
use tidemill_expr::resolve;
use tidemill_repr::{ColumnType, Datum, ScalarType, SqlError, SqlState};

use super::ExprContext;
use super::arguments::variadic_of;
use super::row::named_record;
use crate::query::aggregate::{
    is_aggregate, is_missing, plan_aggregate, plan_grouping, plan_ordered_set,
};
use crate::query::cast::{call, coerce_explicit, coerce_implicit, resolve_unknown, unify_at};
use crate::query::comparable::require_equality;
use crate::query::from::{function_columns, name_parts};
use crate::query::window::{is_window_function, plan_window_call};
use crate::query::{QueryContext, TypedScalar, literal, user_function};

/// Functions that show the names of a row's fields.
const MAKES_JSON: [&str; 7] = [
    "to_json",
    "to_jsonb",
    "row_to_json",
    "json_build_array",
    "json_build_object",
    "jsonb_build_array",
    "jsonb_build_object",
];
/// Functions that compare elements of their first argument.
const COMPARES: [&str; 4] = ["array_position", "array_positions", "array_remove", "array_replace"];
const MOVE_SET: &str =
    "You might be able to move the set-returning function into a LATERAL FROM item.";

/// A call of a scalar function with planned arguments.
pub(in crate::query) fn call_by_name(
    ctx: &QueryContext<'_>,
    name: &str,
    arguments: Vec<TypedScalar>,
) -> Result<TypedScalar, SqlError> {
    let types: Vec<ScalarType> =
        arguments.iter().map(|argument| argument.typ.scalar_type.clone()).collect();
    let resolved = match resolve::function(name, &types) {
        Ok(resolved) => resolved,
        Err(error) if error.code == SqlState::UNDEFINED_FUNCTION && arguments.len() == 1 => {
            // A type's name as a function is a cast.
            let typ = ScalarType::ALL
                .iter()
                .find(|typ| typ.pg_name() == name && **typ != ScalarType::Unknown);
            let (Some(typ), Some(argument)) = (typ, arguments.into_iter().next()) else {
                return Err(error);
            };
            return coerce_explicit(ctx, argument, &ColumnType::new(typ.clone()))
                .map_err(|cast| if cast.code == SqlState::CANNOT_COERCE { error } else { cast });
        }
        Err(error) => return Err(error),
    };
    if COMPARES.contains(&name)
        && let Some(compared) = resolved.arguments.first()
    {
        require_equality(compared)?;
    }
    let arguments = arguments
        .into_iter()
        .zip(&resolved.arguments)
        .map(|(argument, typ)| {
            let coerced = coerce_implicit(ctx, argument, typ)?;
            resolve_unknown(ctx, coerced)
        })
        .collect::<Result<Vec<_>, _>>()?;
    call(ctx, resolved.definition, arguments, ColumnType::new(resolved.returns))
}

/// A record of values.
pub(in crate::query) fn record(
    ctx: &QueryContext<'_>,
    fields: Vec<TypedScalar>,
) -> Result<TypedScalar, SqlError> {
    let fields = fields
        .into_iter()
        .map(|field| resolve_unknown(ctx, field))
        .collect::<Result<Vec<_>, _>>()?;
    let types = fields.iter().map(|field| field.typ.scalar_type.clone()).collect();
    let function = tidemill_expr::FunctionRef::by_id("record_build")
        .ok_or_else(|| SqlError::internal("there is no record_build"))?;
    call(ctx, function, fields, ColumnType::new(ScalarType::Record(types)).nullable(false))
}

/// The name of a function; `pg_catalog` before it says nothing more.
pub(in crate::query) fn function_name(
    ctx: &QueryContext<'_>,
    name: &ObjectName,
) -> Result<String, SqlError> {
    let parts = name_parts(ctx, name)?;
    match parts.as_slice() {
        [function] => Ok(function.clone()),
        [schema, function] if matches!(schema.as_str(), "pg_catalog" | "mz_catalog") => {
            Ok(function.clone())
        }
        // The one function of that schema which clients call.
        [schema, function] if schema == "information_schema" && function == "_pg_expandarray" => {
            Ok(function.clone())
        }
        [schema, _] if !ctx.relations.has_schema(schema) => Err(ctx.error(
            SqlState::INVALID_SCHEMA_NAME,
            format!("schema \"{schema}\" does not exist"),
            name.span(),
        )),
        _ => Err(ctx
            .error(
                SqlState::UNDEFINED_FUNCTION,
                format!("function {} does not exist", parts.join(".")),
                name.span(),
            )
            .with_hint("Functions are in the schema pg_catalog.")),
    }
}

impl ExprContext<'_> {
    pub(super) fn function(&self, function: &Function) -> Result<TypedScalar, SqlError> {
        let ctx = self.ctx;
        let span = function.name.span();
        let parts = name_parts(ctx, &function.name)?;
        if let Some(value) = self.user_function(&parts, function)? {
            return Ok(value);
        }
        let name = function_name(ctx, &function.name)?;
        if function.uses_odbc_syntax || !matches!(function.parameters, FunctionArguments::None) {
            return Err(ctx.unsupported("this form of a call", span));
        }
        if let ("array", FunctionArguments::Subquery(query)) = (name.as_str(), &function.args) {
            return self.array_subquery(query);
        }
        if name == "row" {
            return self.row(&Expr::Function(function.clone()));
        }
        if function.over.is_none() && !function.within_group.is_empty() {
            return plan_ordered_set(self, &name, function);
        }
        if function.over.is_some() || is_window_function(&name) {
            return plan_window_call(self, &name, function);
        }
        if is_aggregate(&name) {
            return plan_aggregate(self, &name, function);
        }
        if name == "grouping" {
            return plan_grouping(self, function);
        }
        if is_missing(&name) {
            return Err(ctx.unsupported(&format!("function {name}()"), span));
        }
        if let Some(made) = self.sql_json(&name, function)? {
            return Ok(made);
        }
        if let Some(made) = self.json_constructor(&name, function)? {
            return Ok(made);
        }
        self.refuse_aggregate_syntax(function, &name)?;
        let arguments = self.plain_arguments(function)?;
        let array = arguments.last().and_then(|last| variadic_of(last));
        let value = match (name.as_str(), array) {
            (_, Some(array)) => self.variadic_call(&name, &arguments, array),
            ("normalize", None) if arguments.len() == 2 => self.normalize(&arguments),
            ("coalesce", None) => self.coalesce(&arguments),
            ("nullif", None) => self.null_if(&arguments),
            ("greatest" | "least", None) => self.extreme(&name, &arguments),
            ("map_build_pairs", None) => self.map_of_pairs(&arguments),
            ("list_n_layers" | "list_ndims", None) => self.layers(&arguments),
            ("enum_first" | "enum_last" | "enum_range", None) => {
                self.enum_function(&name, &arguments)
            }
            _ => match self.answered(&name, &arguments, span)? {
                Some(value) => Ok(value),
                None => self.call_of(&name, &arguments),
            },
        };
        value.map_err(|error| match function.name.0.as_slice() {
            // The schema is shown where it was written.
            [_, _] if error.code == SqlState::UNDEFINED_FUNCTION => {
                let (bare, full) =
                    (format!("function {name}("), format!("function pg_catalog.{name}("));
                let message = error.message.replacen(&bare, &full, 1);
                ctx.locate(SqlError { message, ..error }, span)
            }
            _ => ctx.locate(error, span),
        })
    }

    /// A call that the session or the catalog answers; None if the name is that of no such function.
    pub(in crate::query) fn answered(
        &self,
        name: &str,
        arguments: &[&Expr],
        span: Span,
    ) -> Result<Option<TypedScalar>, SqlError> {
        match self.session_function(name, arguments, span)? {
            Some(value) => Ok(Some(value)),
            None => self.catalog_function(name, arguments),
        }
    }

    /// A call of a function that is computed, with arguments in order.
    pub(super) fn call_of(&self, name: &str, exprs: &[&Expr]) -> Result<TypedScalar, SqlError> {
        if let Some(value) = self.populated(name, exprs)? {
            return Ok(value);
        }
        let arguments = match MAKES_JSON.contains(&name) {
            true => exprs
                .iter()
                .map(|expr| match self.named_row(expr)? {
                    Some(row) => Ok(row),
                    None => self.plan(expr),
                })
                .collect::<Result<Vec<_>, SqlError>>()?,
            false => self.plan_each(exprs)?,
        };
        // A row whose fields have names is no plain record.
        let named = matches!(
            arguments.first().map(|argument| &argument.typ.scalar_type),
            Some(ScalarType::Composite(_))
        );
        let name = match name {
            "row_to_json" if named => "row_to_json_named",
            name => name,
        };
        let types: Vec<ScalarType> =
            arguments.iter().map(|argument| argument.typ.scalar_type.clone()).collect();
        match resolve::table_function(name, &types) {
            Some(resolved) => self.set(resolved?, arguments),
            None => self.built_in_or_written(name, &types, arguments),
        }
    }

    /// A function of Tidemill's own, or one of the same name that a user wrote for other types.
    fn built_in_or_written(
        &self,
        name: &str,
        types: &[ScalarType],
        arguments: Vec<TypedScalar>,
    ) -> Result<TypedScalar, SqlError> {
        let items = user_function::candidates(self.ctx, &[name.to_owned()]);
        if items.is_empty() {
            return call_by_name(self.ctx, name, arguments);
        }
        let built_in = resolve::function(name, types);
        let exact = built_in.as_ref().is_ok_and(|resolved| resolved.arguments == types);
        let written = user_function::exact_overload(&items, types);
        if exact || (built_in.is_ok() && !written) {
            return call_by_name(self.ctx, name, arguments);
        }
        let arguments = user_function::Argument::unnamed(arguments);
        let call = user_function::resolve_call(self.ctx, name, &items, arguments)?;
        self.written(call)
    }

    /// A call of a function that a user wrote; None if the name is not one.
    fn user_function(
        &self,
        parts: &[String],
        function: &Function,
    ) -> Result<Option<TypedScalar>, SqlError> {
        let ctx = self.ctx;
        let span = function.name.span();
        let items = user_function::candidates(ctx, parts);
        let built_in = match parts {
            [name] => user_function::has_builtin(name),
            _ => false,
        };
        if items.is_empty() || built_in {
            return Ok(None);
        }
        let name = parts.join(".");
        self.refuse_aggregate_syntax(function, &name)?;
        if function.over.is_some() {
            let message = format!(
                "OVER specified, but {name} is not a window function nor an aggregate function"
            );
            return Err(ctx.error(SqlState::WRONG_OBJECT_TYPE, message, span));
        }
        let arguments = match &function.args {
            FunctionArguments::None => Vec::new(),
            FunctionArguments::Subquery(_) => {
                return Err(ctx.unsupported("a query as the arguments of a call", span));
            }
            FunctionArguments::List(list) => user_function::arguments_of(self, &list.args, span)?,
        };
        let value = user_function::resolve_call(ctx, &name, &items, arguments)
            .and_then(|call| self.written(call));
        value.map(Some).map_err(|error| ctx.locate(error, span))
    }

    /// The value of a call of a function that a user wrote: of rows, each.
    fn written(&self, call: user_function::Call) -> Result<TypedScalar, SqlError> {
        if !call.is_set() {
            return call.into_value(self.ctx);
        }
        if self.sets.is_none() {
            return Err(self.no_sets());
        }
        let array = call.into_value(self.ctx)?;
        let types = [array.typ.scalar_type.clone()];
        let unnest = resolve::table_function("unnest", &types)
            .ok_or_else(|| SqlError::internal("there is no unnest"))??;
        self.set(unnest, vec![array])
    }

    /// A call of a function that gives rows: a value for each.
    fn set(
        &self,
        resolved: resolve::Resolved<tidemill_expr::TableFunctionRef>,
        arguments: Vec<TypedScalar>,
    ) -> Result<TypedScalar, SqlError> {
        let Some(collector) = self.sets else { return Err(self.no_sets()) };
        let columns = function_columns(&resolved, "");
        let arguments = arguments
            .into_iter()
            .zip(&resolved.arguments)
            .map(|(argument, typ)| Ok(coerce_implicit(self.ctx, argument, typ)?.expr))
            .collect::<Result<Vec<_>, SqlError>>()?;
        let types = columns.iter().map(|(_, typ)| typ.clone()).collect();
        let mut values = collector.add_set(resolved.definition, arguments, types);
        if values.len() == 1 {
            return values.pop().ok_or_else(|| SqlError::internal("a function without columns"));
        }
        // The row's fields keep their names, for whoever reads them later.
        let mut row = record(self.ctx, values)?;
        row.typ = ColumnType::new(named_record(columns)).nullable(row.typ.nullable);
        Ok(row)
    }

    /// Each object of an array of json, as a row.
    pub(super) fn each_record(
        &self,
        name: &str,
        array: TypedScalar,
    ) -> Result<TypedScalar, SqlError> {
        let resolved =
            resolve::table_function("jsonb_records", &[ScalarType::Jsonb, ScalarType::Text])
                .ok_or_else(|| SqlError::internal("there is no jsonb_records"))??;
        self.set(resolved, vec![array, literal::text(name)])
    }

    fn no_sets(&self) -> SqlError {
        if self.inside_aggregate && self.clause != "FILTER" {
            return SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "aggregate function calls cannot contain set-returning function calls",
            )
            .with_hint(MOVE_SET);
        }
        if let Some(construct) = self.no_sets_in {
            return SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("set-returning functions are not allowed in {construct}"),
            )
            .with_hint(MOVE_SET);
        }
        SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            match self.clause {
                "functions in FROM" => {
                    "set-returning functions must appear at top level of FROM".to_owned()
                }
                clause => format!("set-returning functions are not allowed in {clause}"),
            },
        )
    }

    /// GREATEST and LEAST, which are no functions as far as their types go.
    fn extreme(&self, name: &str, exprs: &[&Expr]) -> Result<TypedScalar, SqlError> {
        if exprs.is_empty() {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at or near \")\""));
        }
        let planned = self.plan_each(exprs)?;
        let spans: Vec<Span> = exprs.iter().map(|expr| expr.span()).collect();
        unify_at(self.ctx, &name.to_uppercase(), planned.clone(), &spans)?;
        call_by_name(self.ctx, name, planned)
    }

    /// `normalize(text, NFC)`: the form is a keyword.
    fn normalize(&self, arguments: &[&Expr]) -> Result<TypedScalar, SqlError> {
        const FORMS: [&str; 4] = ["nfc", "nfd", "nfkc", "nfkd"];
        let form = match arguments[1] {
            Expr::Identifier(ident) if FORMS.contains(&ident.value.to_lowercase().as_str()) => {
                literal::text(&ident.value)
            }
            other => self.plan(other)?,
        };
        call_by_name(self.ctx, "normalize", vec![self.plan(arguments[0])?, form])
    }

    fn refuse_aggregate_syntax(&self, function: &Function, name: &str) -> Result<(), SqlError> {
        let (distinct, clauses) = match &function.args {
            FunctionArguments::List(list) => (
                matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct)),
                !list.clauses.is_empty(),
            ),
            _ => (false, false),
        };
        let what = if function.filter.is_some() {
            "FILTER"
        } else if distinct {
            "DISTINCT"
        } else if clauses {
            "ORDER BY"
        } else if !function.within_group.is_empty() {
            "WITHIN GROUP"
        } else if function.null_treatment.is_some() {
            "a treatment of NULLs"
        } else {
            return Ok(());
        };
        Err(self.ctx.error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("{what} specified, but {name} is not an aggregate function"),
            function.name.span(),
        ))
    }

    /// The functions with a syntax of their own.
    pub(super) fn special_function(&self, expr: &Expr) -> Result<TypedScalar, SqlError> {
        let (name, arguments): (&str, Vec<TypedScalar>) = match expr {
            Expr::Extract { field, expr, .. } => {
                ("extract", vec![literal::text(&field_name(field)), self.plan(expr)?])
            }
            Expr::Ceil { expr, field } => ("ceil", self.rounded(expr, field)?),
            Expr::Floor { expr, field } => ("floor", self.rounded(expr, field)?),
            Expr::Position { expr, r#in } => ("position", vec![self.plan(r#in)?, self.plan(expr)?]),
            Expr::Substring { expr, substring_from, substring_for, shorthand, .. } => (
                if *shorthand { "substr" } else { "substring" },
                self.substring(expr, substring_from.as_deref(), substring_for.as_deref())?,
            ),
            Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
                let mut arguments = vec![self.plan(expr)?];
                match (trim_what, trim_characters.as_deref()) {
                    (Some(what), None) => arguments.push(self.plan(what)?),
                    (None, Some([what])) => arguments.push(self.plan(what)?),
                    (None, None) => {}
                    _ => return Err(self.ctx.unsupported("this form of TRIM", expr.span())),
                }
                (trim_name(*trim_where), arguments)
            }
            Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let mut arguments =
                    vec![self.plan(expr)?, self.plan(overlay_what)?, self.plan(overlay_from)?];
                if let Some(length) = overlay_for {
                    arguments.push(self.plan(length)?);
                }
                ("overlay", arguments)
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                ("timezone", vec![self.plan(time_zone)?, self.plan(timestamp)?])
            }
            other => return Err(self.ctx.unsupported("this expression", other.span())),
        };
        call_by_name(self.ctx, name, arguments).map_err(|error| {
            let span: Span = expr.span();
            self.ctx.locate(error, span)
        })
    }

    fn rounded(&self, expr: &Expr, field: &CeilFloorKind) -> Result<Vec<TypedScalar>, SqlError> {
        match field {
            CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => Ok(vec![self.plan(expr)?]),
            _ => Err(self.ctx.unsupported("this form of rounding", expr.span())),
        }
    }

    fn substring(
        &self,
        expr: &Expr,
        from: Option<&Expr>,
        length: Option<&Expr>,
    ) -> Result<Vec<TypedScalar>, SqlError> {
        let mut arguments = vec![self.plan(expr)?];
        match from {
            Some(from) => arguments.push(self.plan(from)?),
            None => arguments.push(literal::literal(Datum::Int(1), ScalarType::Int4)),
        }
        if let Some(length) = length {
            arguments.push(self.plan(length)?);
        }
        Ok(arguments)
    }
}

/// The function that a TRIM is.
pub(super) fn trim_name(place: Option<TrimWhereField>) -> &'static str {
    match place {
        None | Some(TrimWhereField::Both) => "btrim",
        Some(TrimWhereField::Leading) => "ltrim",
        Some(TrimWhereField::Trailing) => "rtrim",
    }
}

/// The text of a field of EXTRACT.
fn field_name(field: &DateTimeField) -> String {
    match field {
        DateTimeField::Custom(ident) => ident.value.to_lowercase(),
        other => other.to_string().to_lowercase(),
    }
}
