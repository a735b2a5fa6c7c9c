//! Functions in FROM: those that give rows, others as tables of one row, several in lock step
//! (`ROWS FROM`), numbered (`WITH ORDINALITY`), and those whose columns are defined where they are
//! called (`AS t(a int, ..)`).

use std::rc::Rc;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArguments, ObjectName, Spanned, TableAlias, TableAliasColumnDef,
};
use sqlparser::tokenizer::Span;
use tidemill_expr::resolve;
use tidemill_expr::table_function::{Part, TableFunctionRef, in_lock_step, single_value};
use tidemill_plan::query::ColumnRef;
use tidemill_plan::{QueryExpr, QueryScalar};
use tidemill_repr::{ColumnType, Datum, ScalarType, SqlError, SqlState};

use super::{Item, aliased, name_parts, table_name};
use crate::parse_marks::{NO_ALIAS, ROWS_FROM};
use crate::query::aggregate::is_aggregate;
use crate::query::cast::{call, coerce_explicit, coerce_implicit, resolve_unknown};
use crate::query::error::name_of;
use crate::query::expr::{
    ExprContext, binary, call_by_name, field as record_field, function_name, populate, populates,
};
use crate::query::scope::{Scope, TableName};
use crate::query::user_function::{self, Shape};
use crate::query::values::unit;
use crate::query::{QueryContext, TypedScalar, literal};

/// A function in FROM as it is written.
#[derive(Clone, Copy)]
pub(super) struct Written<'w> {
    pub ordinality: bool,
    pub alias: Option<&'w TableAlias>,
    pub span: Span,
}

/// A call among the functions of an item.
struct Called<'c> {
    name: String,
    arguments: Vec<&'c Expr>,
    span: Span,
}

pub(super) fn plan_function(
    ctx: &QueryContext<'_>,
    name: &ObjectName,
    arguments: &[FunctionArg],
    written: Written<'_>,
    around: &Rc<Scope>,
) -> Result<Item, SqlError> {
    let marked = |part: &sqlparser::ast::ObjectNamePart| {
        part.as_ident().is_some_and(|ident| ident.value == ROWS_FROM)
    };
    let planner = ExprContext::new(ctx, around, "functions in FROM");
    if !name.0.first().is_some_and(marked) {
        if let Some(item) = plan_user_function(ctx, name, arguments, written, around)? {
            return Ok(item);
        }
        let name_text = function_name(ctx, name)?;
        let exprs = planner.in_order(&name_text, arguments, name.span())?;
        let called = Called { name: name_text, arguments: exprs, span: name.span() };
        return plan_calls(ctx, vec![called], written, around);
    }
    let calls = planner
        .in_order("", arguments, name.span())?
        .into_iter()
        .map(|expr| match expr {
            Expr::Function(function) => match &function.args {
                FunctionArguments::List(_) => Ok(Called {
                    name: function_name(ctx, &function.name)?,
                    arguments: planner.plain_arguments(function)?,
                    span: function.name.span(),
                }),
                _ => Err(ctx.unsupported("this form of a call", expr.span())),
            },
            other => Err(ctx.unsupported("this in ROWS FROM", other.span())),
        })
        .collect::<Result<Vec<_>, SqlError>>()?;
    plan_calls(ctx, calls, written, around)
}

/// A function that a user wrote; None if the name is not one.
fn plan_user_function(
    ctx: &QueryContext<'_>,
    name: &ObjectName,
    arguments: &[FunctionArg],
    written: Written<'_>,
    around: &Rc<Scope>,
) -> Result<Option<Item>, SqlError> {
    let parts = name_parts(ctx, name)?;
    let items = user_function::candidates(ctx, &parts);
    let built_in = matches!(parts.as_slice(), [name] if user_function::has_builtin(name));
    if items.is_empty() || built_in {
        return Ok(None);
    }
    let scope = Rc::new(around.empty_beside());
    let planner = ExprContext::new(ctx, &scope, "functions in FROM");
    let arguments = user_function::arguments_of(&planner, arguments, name.span())?;
    user_function::resolve_call(ctx, &parts.join("."), &items, arguments)
        .and_then(|call| called_item(ctx, call, written))
        .map(Some)
        .map_err(|error| ctx.locate(error, name.span()))
}

/// A call of a function that a user wrote, as an item.
fn called_item(
    ctx: &QueryContext<'_>,
    call: user_function::Call,
    written: Written<'_>,
) -> Result<Item, SqlError> {
    let name = call.name().to_owned();
    let alias = written.alias.filter(|alias| alias.name.value != NO_ALIAS);
    let shown = alias.map_or_else(|| name.clone(), |alias| name_of(&alias.name));
    let (fields, scalar) = match call.shape()? {
        Shape::Value(typ, column) => (vec![(column.unwrap_or_else(|| shown.clone()), typ)], true),
        Shape::Row(fields) => (fields, false),
    };
    if scalar && (!call.is_set() || written.ordinality) {
        let set = call.is_set();
        let value = call.into_value(ctx)?;
        let column = fields.into_iter().next().map(|(name, _)| name).unwrap_or_default();
        let mut parts = Parts::default();
        match set {
            true => parts.add_rows(ctx, "unnest", vec![value], &column)?,
            false => parts.add_value(&column, value),
        }
        return parts.into_item(ctx, name, written);
    }
    if written.ordinality {
        return Err(SqlError::unsupported("WITH ORDINALITY of a function of several columns"));
    }
    let expr = match call.is_set() {
        true => call.into_rows(ctx)?.0,
        false => fields_of(ctx, call, &fields)?,
    };
    let columns = fields.into_iter().map(|(name, typ)| (name, typ.nullable(true)));
    let mut scope = Scope::of_table(TableName { function: scalar, ..table_name(&shown) }, columns);
    if let Some(alias) = alias {
        scope = aliased(ctx, scope, alias)?;
    }
    Ok(Item { expr, scope })
}

/// The one row of a function that gives one.
fn fields_of(
    ctx: &QueryContext<'_>,
    call: user_function::Call,
    fields: &[(String, ColumnType)],
) -> Result<QueryExpr, SqlError> {
    let value = call.into_value(ctx)?;
    let row = QueryExpr::Map { input: Box::new(unit()), scalars: vec![value.expr] };
    let whole = TypedScalar {
        expr: QueryScalar::Column(ColumnRef { level: 0, column: 0 }),
        typ: value.typ,
    };
    let scalars = fields
        .iter()
        .enumerate()
        .map(|(at, (_, typ))| crate::query::expr::field(&whole, at, typ.clone()).expr)
        .collect();
    let outputs = (1..=fields.len()).collect();
    let input = Box::new(QueryExpr::Map { input: Box::new(row), scalars });
    Ok(QueryExpr::Project { input, outputs })
}

pub(super) fn plan_unnest(
    ctx: &QueryContext<'_>,
    arrays: &[Expr],
    written: Written<'_>,
    around: &Rc<Scope>,
) -> Result<Item, SqlError> {
    let arguments = arrays.iter().collect();
    let called = Called { name: "unnest".to_owned(), arguments, span: written.span };
    plan_calls(ctx, vec![called], written, around)
}

/// A function that has no parentheses: `current_date`.
pub(super) fn plan_keyword(
    ctx: &QueryContext<'_>,
    expr: &Expr,
    name: &str,
    written: Written<'_>,
    around: &Rc<Scope>,
) -> Result<Item, SqlError> {
    let scope = Rc::new(around.empty_beside());
    let value = ExprContext::new(ctx, &scope, "functions in FROM").plan(expr)?;
    let mut parts = Parts::default();
    let shown = written.alias.map_or_else(|| name.to_owned(), |alias| name_of(&alias.name));
    parts.add_value(&shown, value);
    parts.into_item(ctx, name.to_owned(), written)
}

fn plan_calls(
    ctx: &QueryContext<'_>,
    calls: Vec<Called<'_>>,
    written: Written<'_>,
    around: &Rc<Scope>,
) -> Result<Item, SqlError> {
    // The row of a function has no columns of its own before it is called; what stands to the
    // left is one scope out.
    let scope = Rc::new(around.empty_beside());
    let planner = ExprContext::new(ctx, &scope, "functions in FROM");
    let single = calls.len() == 1;
    let mut parts = Parts::default();
    let Some(first) = calls.first() else {
        return Err(ctx.error(SqlState::SYNTAX_ERROR, "ROWS FROM needs a function", written.span));
    };
    let first_name = first.name.clone();
    let definitions = written.alias.map(|alias| alias.columns.as_slice()).filter(|columns| {
        !columns.is_empty() && columns.iter().all(|column| column.data_type.is_some())
    });
    for call in &calls {
        let alias = written.alias.filter(|alias| single && alias.name.value != NO_ALIAS);
        let shown = alias.map_or_else(|| call.name.clone(), |alias| name_of(&alias.name));
        parts
            .add(&planner, call, &shown, definitions.filter(|_| single))
            .map_err(|error| ctx.locate(error, call.span))?;
    }
    if definitions.is_some() && !parts.defined {
        let message = "a column definition list is only allowed for functions returning \"record\"";
        return Err(ctx.error(SqlState::SYNTAX_ERROR, message, written.span));
    }
    parts.into_item(ctx, first_name, written)
}

/// What a function in FROM puts out.
enum Slot {
    /// This column of the rows.
    Column(usize),
    /// A field of the jsonb object in this column.
    Field(usize, String),
    /// A field of the record that the jsonb object in this column makes of a base.
    Populated(usize, usize, TypedScalar),
    /// An element of the array in this column.
    Element(usize, usize),
}

/// The functions of an item, as far as they are planned.
#[derive(Default)]
struct Parts {
    parts: Vec<Part>,
    arguments: Vec<TypedScalar>,
    /// Types of the columns of the functions.
    types: Vec<ColumnType>,
    outputs: Vec<(String, ColumnType, Slot)>,
    /// Whether columns were defined by the caller.
    defined: bool,
    /// Whether columns are computed from those of the functions.
    computed: bool,
    /// Whether each has one column, that is no part of a row.
    scalar: bool,
}

impl Parts {
    fn push(&mut self, function: TableFunctionRef, arguments: Vec<TypedScalar>) {
        self.parts.push(Part { function, arguments: arguments.len() });
        self.arguments.extend(arguments);
    }

    fn add_column(&mut self, name: String, typ: ColumnType) {
        let slot = Slot::Column(self.types.len());
        self.types.push(typ.clone());
        self.outputs.push((name, typ, slot));
    }

    /// A value as a table of one row.
    fn add_value(&mut self, shown: &str, value: TypedScalar) {
        self.scalar = self.parts.is_empty();
        let typ = value.typ.clone();
        self.push(single_value(), vec![value]);
        self.add_column(shown.to_owned(), typ);
    }

    fn add(
        &mut self,
        planner: &ExprContext<'_>,
        call: &Called<'_>,
        shown: &str,
        definitions: Option<&[TableAliasColumnDef]>,
    ) -> Result<(), SqlError> {
        let ctx = planner.ctx;
        if is_aggregate(&call.name) {
            return Err(SqlError::new(
                SqlState::GROUPING_ERROR,
                "aggregate functions are not allowed in functions in FROM",
            ));
        }
        let arguments =
            call.arguments.iter().map(|expr| planner.plan(expr)).collect::<Result<Vec<_>, _>>()?;
        if let "jsonb_to_record" | "jsonb_to_recordset" | "json_to_record" | "json_to_recordset" =
            call.name.as_str()
        {
            return self.add_record(ctx, call, arguments, definitions);
        }
        if let Some((json, set)) = populates(&call.name) {
            let (base, value) = planner.populate_arguments(&call.name, &json, &call.arguments)?;
            return self.add_populated(call, base, value, set);
        }
        if let "csv_extract" | "regexp_extract" = call.name.as_str() {
            return self.add_extracted(ctx, &call.name, arguments);
        }
        if call.name == "unnest" && arguments.len() > 1 {
            for argument in arguments {
                self.add_rows(ctx, "unnest", vec![argument], "unnest")?;
            }
            self.scalar = false;
            return Ok(());
        }
        let types: Vec<ScalarType> =
            arguments.iter().map(|argument| argument.typ.scalar_type.clone()).collect();
        if resolve::table_function(&call.name, &types).is_some() {
            return self.add_rows(ctx, &call.name, arguments, shown);
        }
        let value = match planner.answered(&call.name, &call.arguments, call.span)? {
            Some(value) => value,
            None => call_by_name(ctx, &call.name, arguments)?,
        };
        self.add_value(shown, value);
        Ok(())
    }

    fn add_rows(
        &mut self,
        ctx: &QueryContext<'_>,
        name: &str,
        arguments: Vec<TypedScalar>,
        shown: &str,
    ) -> Result<(), SqlError> {
        let types: Vec<ScalarType> =
            arguments.iter().map(|argument| argument.typ.scalar_type.clone()).collect();
        let resolved = resolve::table_function(name, &types)
            .ok_or_else(|| SqlError::internal(format!("there is no {name}")))??;
        let arguments = arguments
            .into_iter()
            .zip(&resolved.arguments)
            .map(|(argument, typ)| resolve_unknown(ctx, coerce_implicit(ctx, argument, typ)?))
            .collect::<Result<Vec<_>, _>>()?;
        let columns = function_columns(&resolved, shown);
        self.scalar = self.parts.is_empty() && columns.len() == 1;
        self.push(resolved.definition, arguments);
        for (name, typ) in columns {
            self.add_column(name, typ);
        }
        Ok(())
    }

    /// `jsonb_to_record(set)`: the objects, and of each the fields that are asked for.
    fn add_record(
        &mut self,
        ctx: &QueryContext<'_>,
        call: &Called<'_>,
        arguments: Vec<TypedScalar>,
        definitions: Option<&[TableAliasColumnDef]>,
    ) -> Result<(), SqlError> {
        let Ok([argument]) = <[TypedScalar; 1]>::try_from(arguments) else {
            return Err(SqlError::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("function {} takes one argument", call.name),
            ));
        };
        let Some(definitions) = definitions else {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "a column definition list is required for functions returning \"record\"",
            ));
        };
        let json = ColumnType::new(ScalarType::Jsonb);
        let argument = coerce_explicit(ctx, argument, &json)?;
        self.push_records(&call.name, argument)?;
        let column = self.types.len();
        self.types.push(json);
        for definition in definitions {
            let name = name_of(&definition.name);
            let Some(data_type) = &definition.data_type else { continue };
            let typ = ctx
                .data_type(data_type)
                .map_err(|error| ctx.locate(error, definition.name.span))?;
            self.outputs.push((name.clone(), typ, Slot::Field(column, name)));
        }
        self.defined = true;
        self.scalar = false;
        Ok(())
    }

    /// The json objects of an array, or one alone.
    fn push_records(&mut self, name: &str, json: TypedScalar) -> Result<(), SqlError> {
        let function = if name.ends_with("set") { "jsonb_records" } else { "jsonb_record" };
        let resolved = resolve::table_function(function, &[ScalarType::Jsonb, ScalarType::Text])
            .ok_or_else(|| SqlError::internal(format!("there is no {function}")))??;
        self.push(resolved.definition, vec![json, literal::text(name)]);
        Ok(())
    }

    /// `jsonb_populate_record(set)`: the fields of the records.
    fn add_populated(
        &mut self,
        call: &Called<'_>,
        base: TypedScalar,
        json: TypedScalar,
        set: bool,
    ) -> Result<(), SqlError> {
        let ScalarType::Composite(definition) = base.typ.scalar_type.base().clone() else {
            return Err(SqlError::internal("a base that is no row"));
        };
        let column = self.types.len();
        if set {
            self.push_records(&call.name, json)?;
        } else {
            self.push(single_value(), vec![json]);
        }
        self.types.push(ColumnType::new(ScalarType::Jsonb));
        for (at, (name, typ)) in definition.fields.iter().enumerate() {
            let slot = Slot::Populated(column, at, base.clone());
            self.outputs.push((name.clone(), typ.clone().nullable(true), slot));
        }
        self.computed = true;
        self.scalar = false;
        Ok(())
    }

    /// `csv_extract(n, text)`, `regexp_extract(pattern, text)`: as many columns of text as the
    /// first argument says.
    fn add_extracted(
        &mut self,
        ctx: &QueryContext<'_>,
        name: &str,
        arguments: Vec<TypedScalar>,
    ) -> Result<(), SqlError> {
        let types: Vec<ScalarType> =
            arguments.iter().map(|argument| argument.typ.scalar_type.clone()).collect();
        let resolved = resolve::table_function(name, &types)
            .ok_or_else(|| SqlError::internal(format!("there is no {name}")))??;
        let arguments = arguments
            .into_iter()
            .zip(&resolved.arguments)
            .map(|(argument, typ)| coerce_implicit(ctx, argument, typ))
            .collect::<Result<Vec<_>, _>>()?;
        let constant = match arguments.first().map(|first| &first.expr) {
            Some(QueryScalar::Literal(Ok(row), _)) => row.clone(),
            _ => {
                return Err(SqlError::unsupported(format!(
                    "{name} with a first argument that is no constant"
                )));
            }
        };
        let names = tidemill_expr::functions::extracted_columns(name, constant.iter().next())?;
        let column = self.types.len();
        self.push(resolved.definition, arguments);
        self.types.push(ColumnType::new(ScalarType::Array(Box::new(ScalarType::Text))));
        for (at, name) in names.into_iter().enumerate() {
            let typ = ColumnType::new(ScalarType::Text);
            self.outputs.push((name, typ, Slot::Element(column, at + 1)));
        }
        self.computed = true;
        self.scalar = false;
        Ok(())
    }

    fn into_item(
        self,
        ctx: &QueryContext<'_>,
        name: String,
        written: Written<'_>,
    ) -> Result<Item, SqlError> {
        let Parts { parts, arguments, mut types, mut outputs, defined, computed, scalar } = self;
        let arguments: Vec<QueryScalar> =
            arguments.into_iter().map(|argument| argument.expr).collect();
        if parts.len() > 1 {
            types.iter_mut().for_each(|typ| typ.nullable = true);
            outputs.iter_mut().for_each(|(_, typ, _)| typ.nullable = true);
        }
        if written.ordinality {
            let typ = ColumnType::new(ScalarType::Int8).nullable(false);
            outputs.push(("ordinality".to_owned(), typ.clone(), Slot::Column(types.len())));
            types.push(typ);
        }
        let width = types.len();
        let expr = match parts.as_slice() {
            [part] if part.function == single_value() && !written.ordinality && width == 1 => {
                QueryExpr::Map { input: Box::new(unit()), scalars: arguments }
            }
            parts => {
                let function = match parts {
                    [part] if !written.ordinality => part.function,
                    parts => in_lock_step(parts, written.ordinality),
                };
                QueryExpr::FlatMap { input: Box::new(unit()), function, arguments, typ: types }
            }
        };
        let expr = if defined || computed { fields(ctx, expr, width, &outputs)? } else { expr };
        let columns = outputs.into_iter().map(|(name, typ, _)| (name, typ));
        let alias = written.alias.filter(|alias| alias.name.value != NO_ALIAS);
        let shown = alias.map_or(name, |alias| name_of(&alias.name));
        let function = scalar && parts.len() == 1 && !written.ordinality;
        let mut scope = Scope::of_table(TableName { function, ..table_name(&shown) }, columns);
        if let (Some(alias), false) = (alias, defined) {
            scope = aliased(ctx, scope, alias)?;
        }
        Ok(Item { expr, scope })
    }
}

/// The outputs in order, fields of objects among them.
fn fields(
    ctx: &QueryContext<'_>,
    input: QueryExpr,
    width: usize,
    outputs: &[(String, ColumnType, Slot)],
) -> Result<QueryExpr, SqlError> {
    let mut scalars = Vec::new();
    let mut project = Vec::new();
    for (_, typ, slot) in outputs {
        match slot {
            Slot::Column(column) => project.push(*column),
            Slot::Field(column, name) => {
                project.push(width + scalars.len());
                scalars.push(field(ctx, *column, name, typ)?);
            }
            Slot::Populated(column, at, base) => {
                project.push(width + scalars.len());
                let json = column_of(*column, ScalarType::Jsonb);
                let record = populate(ctx, json, base.clone())?;
                scalars.push(record_field(&record, *at, typ.clone()).expr);
            }
            Slot::Element(column, at) => {
                project.push(width + scalars.len());
                let array = column_of(*column, ScalarType::Array(Box::new(ScalarType::Text)));
                let at = Datum::Int(i64::try_from(*at).unwrap_or(i64::MAX));
                let arguments = vec![array, literal::literal(at, ScalarType::Int4)];
                scalars.push(call_by_name(ctx, "array_subscript", arguments)?.expr);
            }
        }
    }
    let input = Box::new(QueryExpr::Map { input: Box::new(input), scalars });
    Ok(QueryExpr::Project { input, outputs: project })
}

fn column_of(column: usize, typ: ScalarType) -> TypedScalar {
    let expr = QueryScalar::Column(ColumnRef { level: 0, column });
    TypedScalar { expr, typ: ColumnType::new(typ) }
}

fn field(
    ctx: &QueryContext<'_>,
    column: usize,
    name: &str,
    typ: &ColumnType,
) -> Result<QueryScalar, SqlError> {
    let value = || TypedScalar {
        expr: QueryScalar::Column(ColumnRef { level: 0, column }),
        typ: ColumnType::new(ScalarType::Jsonb),
    };
    let text = binary(ctx, "->>", value(), literal::text(name))?;
    match &typ.scalar_type {
        ScalarType::Jsonb => {
            let json = binary(ctx, "->", value(), literal::text(name))?;
            let missing = QueryScalar::IsNull(Box::new(text.expr));
            let null = literal::null(ScalarType::Jsonb).expr;
            Ok(QueryScalar::If(Box::new(missing), Box::new(null), Box::new(json.expr)))
        }
        ScalarType::Array(_) | ScalarType::Composite(_) | ScalarType::Json => {
            let json = binary(ctx, "->", value(), literal::text(name))?;
            let function = tidemill_expr::FunctionRef::by_id("jsonb_populate_value")
                .ok_or_else(|| SqlError::internal("there is no jsonb_populate_value"))?;
            let arguments = vec![json, literal::null(typ.scalar_type.clone())];
            Ok(call(ctx, function, arguments, typ.clone())?.expr)
        }
        ScalarType::Record(_) => {
            Err(SqlError::unsupported(format!("a column of type {} here", typ.scalar_type))
                .with_hint("Define it as jsonb."))
        }
        _ => Ok(coerce_explicit(ctx, text, typ)?.expr),
    }
}

/// Names and types of what a table function gives.
pub(in crate::query) fn function_columns(
    resolved: &resolve::Resolved<TableFunctionRef>,
    shown: &str,
) -> Vec<(String, ColumnType)> {
    let definition = resolved.definition;
    let mut arguments = definition.arguments.iter().zip(&resolved.arguments);
    let element = arguments
        .find_map(|(pattern, typ)| resolve::element_of(pattern, typ))
        .unwrap_or(ScalarType::Text);
    definition
        .columns
        .iter()
        .map(|(name, pattern)| {
            let typ = resolve::concrete(pattern, &element, &element);
            let typ = typ.unwrap_or_else(|| element.clone());
            let name = if name.is_empty() { shown } else { name };
            (name.to_owned(), ColumnType::new(typ))
        })
        .collect()
}
