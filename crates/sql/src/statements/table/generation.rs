//! Columns that fill themselves: serial, identity, generated; and the sequences behind them.

use std::ops::ControlFlow;

use sqlparser::ast::{
    ColumnOption, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GeneratedAs,
    GeneratedExpressionMode, SequenceOptions, Value, VisitMut, VisitorMut,
};
use tidemill_catalog::{Definition, ItemKind, QualifiedName, Sequence};
use tidemill_repr::{ObjectId, ScalarType, SqlError, SqlState};

use super::build::NewTable;
use crate::ast::{SequenceOption, SequenceStatement};
use crate::names;
use crate::plan::{AlterSequencePlan, NewItem, Notice, Plan, Planned};
use crate::query;
use crate::session::Planner;
use crate::statements::{Planning, command, nothing};
use crate::types;

/// How a new column's values come by themselves.
pub(super) enum NewGeneration {
    /// `serial`
    Serial,
    /// `GENERATED .. AS IDENTITY`
    Identity { always: bool, options: Vec<SequenceOption> },
    /// `GENERATED ALWAYS AS (..) STORED`
    Stored(Expr),
    /// What is there already.
    Kept(tidemill_catalog::Generation),
}

/// The type of the numbers of a `serial`; None if it is another type.
pub(super) fn serial_type(data_type: &DataType) -> Option<ScalarType> {
    let DataType::Custom(name, modifiers) = data_type else { return None };
    if !modifiers.is_empty() {
        return None;
    }
    match name.to_string().to_lowercase().as_str() {
        "serial" | "serial4" => Some(ScalarType::Int4),
        "bigserial" | "serial8" => Some(ScalarType::Int8),
        "smallserial" | "serial2" => Some(ScalarType::Int2),
        _ => None,
    }
}

/// What `GENERATED ..` says.
pub(super) fn of_option(option: &ColumnOption) -> Result<NewGeneration, SqlError> {
    let ColumnOption::Generated {
        generated_as,
        sequence_options,
        generation_expr,
        generation_expr_mode,
        ..
    } = option
    else {
        return Err(SqlError::internal("an option that generates nothing"));
    };
    if let Some(expr) = generation_expr {
        if *generation_expr_mode != Some(GeneratedExpressionMode::Stored) {
            return Err(SqlError::unsupported("a VIRTUAL generated column")
                .with_hint("Write STORED after the expression."));
        }
        return Ok(NewGeneration::Stored(expr.clone()));
    }
    let always = *generated_as == GeneratedAs::Always;
    let options =
        sequence_options.iter().flatten().map(sequence_option).collect::<Result<_, _>>()?;
    Ok(NewGeneration::Identity { always, options })
}

fn sequence_option(option: &SequenceOptions) -> Result<SequenceOption, SqlError> {
    let number = |expr: &Expr| {
        let text = expr.to_string().replace(' ', "");
        text.parse::<i64>().map_err(|_| {
            SqlError::new(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{text}\""))
        })
    };
    let maybe = |expr: &Option<Expr>| expr.as_ref().map(number).transpose();
    Ok(match option {
        SequenceOptions::IncrementBy(by, _) => SequenceOption::Increment(number(by)?),
        SequenceOptions::MinValue(min) => SequenceOption::Min(maybe(min)?),
        SequenceOptions::MaxValue(max) => SequenceOption::Max(maybe(max)?),
        SequenceOptions::StartWith(start, _) => SequenceOption::Start(number(start)?),
        SequenceOptions::Cache(cache) => SequenceOption::Cache(number(cache)?),
        // sqlparser's flag says whether NO was written.
        SequenceOptions::Cycle(no) => SequenceOption::Cycle(!no),
    })
}

fn type_bounds(scalar_type: &ScalarType) -> Option<(&'static str, i64, i64)> {
    match scalar_type {
        ScalarType::Int2 => Some(("smallint", i64::from(i16::MIN), i64::from(i16::MAX))),
        ScalarType::Int4 => Some(("integer", i64::from(i32::MIN), i64::from(i32::MAX))),
        ScalarType::Int8 => Some(("bigint", i64::MIN, i64::MAX)),
        _ => None,
    }
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// A sequence with these options.
pub(super) fn new_sequence(
    scalar_type: &ScalarType,
    options: &[SequenceOption],
) -> Result<Sequence, SqlError> {
    let bigint = Sequence {
        data_type: "bigint".to_owned(),
        start: 1,
        increment: 1,
        min: 1,
        max: i64::MAX,
        cache: 1,
        cycle: false,
        owned_by: None,
    };
    let typed = [SequenceOption::As(data_type(scalar_type))];
    let (sequence, _) = changed(bigint, &typed, true)?;
    changed(sequence, options, true).map(|(sequence, _)| sequence)
}

fn data_type(scalar_type: &ScalarType) -> DataType {
    match scalar_type {
        ScalarType::Int2 => DataType::SmallInt(None),
        ScalarType::Int4 => DataType::Integer(None),
        _ => DataType::BigInt(None),
    }
}

/// A sequence with other options, and the number to begin again with. A `new` one begins with
/// its first number.
fn changed(
    mut sequence: Sequence,
    options: &[SequenceOption],
    new: bool,
) -> Result<(Sequence, Option<Option<i64>>), SqlError> {
    let mut kinds = std::collections::HashSet::new();
    if !options.iter().all(|option| kinds.insert(std::mem::discriminant(option))) {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options"));
    }
    let (old_min, old_max) = bounds_of(&sequence.data_type);
    let ascending = sequence.increment > 0;
    let (mut min, mut max, mut start, mut restart) = (None, None, None, None);
    for option in options {
        match option {
            SequenceOption::As(data_type) => {
                let typ = types::resolve_data_type(&|_| None, data_type)?.scalar_type;
                let (name, ..) = type_bounds(&typ)
                    .ok_or_else(|| invalid("sequence type must be smallint, integer, or bigint"))?;
                sequence.data_type = name.to_owned();
            }
            SequenceOption::Increment(0) => return Err(invalid("INCREMENT must not be zero")),
            SequenceOption::Increment(by) => sequence.increment = *by,
            SequenceOption::Min(value) => min = Some(*value),
            SequenceOption::Max(value) => max = Some(*value),
            SequenceOption::Start(value) => start = Some(*value),
            SequenceOption::Restart(value) => restart = Some(*value),
            SequenceOption::Cache(cache) if *cache < 1 => {
                return Err(invalid(format!("CACHE ({cache}) must be greater than zero")));
            }
            SequenceOption::Cache(cache) => sequence.cache = *cache,
            SequenceOption::Cycle(cycle) => sequence.cycle = *cycle,
            SequenceOption::OwnedBy(_) => {}
        }
    }
    let (type_min, type_max) = bounds_of(&sequence.data_type);
    let up = sequence.increment > 0;
    let turned = up != ascending;
    let natural_min = if up { 1 } else { type_min };
    let natural_max = if up { type_max } else { -1 };
    let was_natural = |value: i64, bound: i64| value == bound;
    sequence.max = match max {
        Some(Some(max)) => max,
        Some(None) => natural_max,
        None if new && (turned || was_natural(sequence.max, old_max)) => natural_max,
        None if was_natural(sequence.max, old_max) => sequence.max.min(type_max),
        None => sequence.max,
    };
    sequence.min = match min {
        Some(Some(min)) => min,
        Some(None) => natural_min,
        None if new && (turned || was_natural(sequence.min, old_min)) => natural_min,
        None if was_natural(sequence.min, old_min) => sequence.min.max(type_min),
        None => sequence.min,
    };
    for (word, value) in [("MAXVALUE", sequence.max), ("MINVALUE", sequence.min)] {
        if value < type_min || value > type_max {
            let typ = &sequence.data_type;
            return Err(invalid(format!(
                "{word} ({value}) is out of range for sequence data type {typ}"
            )));
        }
    }
    let (min, max) = (sequence.min, sequence.max);
    if min >= max {
        return Err(invalid(format!("MINVALUE ({min}) must be less than MAXVALUE ({max})")));
    }
    sequence.start = match start {
        Some(start) => start,
        None if new => {
            if up {
                min
            } else {
                max
            }
        }
        None => sequence.start,
    };
    let within = |word: &str, value: i64| {
        if value < min {
            Err(invalid(format!("{word} value ({value}) cannot be less than MINVALUE ({min})")))
        } else if value > max {
            Err(invalid(format!("{word} value ({value}) cannot be greater than MAXVALUE ({max})")))
        } else {
            Ok(())
        }
    };
    within("START", sequence.start)?;
    if let Some(Some(value)) = restart {
        within("RESTART", value)?;
    }
    Ok((sequence, restart))
}

fn bounds_of(data_type: &str) -> (i64, i64) {
    match data_type {
        "smallint" => (i64::from(i16::MIN), i64::from(i16::MAX)),
        "integer" => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    }
}

/// The options that are not what they would be by themselves.
pub(super) fn sequence_options_sql(sequence: &Sequence) -> String {
    let (type_min, type_max) = bounds_of(&sequence.data_type);
    let up = sequence.increment > 0;
    let mut parts = Vec::new();
    if sequence.increment != 1 {
        parts.push(format!("INCREMENT BY {}", sequence.increment));
    }
    if sequence.min != if up { 1 } else { type_min } {
        parts.push(format!("MINVALUE {}", sequence.min));
    }
    if sequence.max != if up { type_max } else { -1 } {
        parts.push(format!("MAXVALUE {}", sequence.max));
    }
    if sequence.start != if up { sequence.min } else { sequence.max } {
        parts.push(format!("START WITH {}", sequence.start));
    }
    if sequence.cache != 1 {
        parts.push(format!("CACHE {}", sequence.cache));
    }
    if sequence.cycle {
        parts.push("CYCLE".to_owned());
    }
    parts.join(" ")
}

/// The statement that makes a sequence.
pub(super) fn sequence_sql(name: &QualifiedName, sequence: &Sequence) -> String {
    let mut text = format!("CREATE SEQUENCE {name}");
    if sequence.data_type != "bigint" {
        text.push_str(&format!(" AS {}", sequence.data_type));
    }
    let options = sequence_options_sql(sequence);
    if !options.is_empty() {
        text.push(' ');
        text.push_str(&options);
    }
    text
}

/// Writes full names into `nextval('..')`, so that the search path of later does not matter, and
/// gives the sequences.
pub(super) fn qualify_sequences(
    planner: &Planner<'_>,
    expr: &mut Expr,
) -> Result<Vec<ObjectId>, SqlError> {
    struct Qualify<'a, 'p>(&'a Planner<'p>, Vec<ObjectId>);
    impl VisitorMut for Qualify<'_, '_> {
        type Break = SqlError;
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
            let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
            let name = function.name.to_string().to_lowercase();
            if !matches!(name.as_str(), "nextval" | "pg_catalog.nextval") {
                return ControlFlow::Continue(());
            }
            let FunctionArguments::List(list) = &mut function.args else {
                return ControlFlow::Continue(());
            };
            if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))) =
                list.args.first_mut()
            {
                return match qualify_name(self.0, argument) {
                    Ok(found) => {
                        self.1.extend(found);
                        ControlFlow::Continue(())
                    }
                    Err(error) => ControlFlow::Break(error),
                };
            }
            ControlFlow::Continue(())
        }
    }
    let mut visitor = Qualify(planner, Vec::new());
    match expr.visit(&mut visitor) {
        ControlFlow::Continue(()) => Ok(visitor.1),
        ControlFlow::Break(error) => Err(error),
    }
}

fn qualify_name(planner: &Planner<'_>, argument: &mut Expr) -> Result<Option<ObjectId>, SqlError> {
    let literal = match argument {
        Expr::Cast { expr, .. } => expr.as_mut(),
        other => other,
    };
    let Expr::Value(value) = literal else { return Ok(None) };
    let Value::SingleQuotedString(text) = &value.value else { return Ok(None) };
    let mut parsed = crate::parse::parse(&format!("SELECT * FROM {text}"))?;
    let name = match parsed.pop().map(|one| one.statement) {
        Some(crate::ast::Statement::Query(statement)) => first_name(&statement.query),
        _ => None,
    };
    let Some(name) = name else { return Ok(None) };
    let session = planner.session;
    let parts = names::parts(&name)?;
    let item = planner.catalog.resolve_item(session.database, session.search_path, &parts)?;
    value.value = Value::SingleQuotedString(item.name.to_string());
    Ok(Some(item.id))
}

fn first_name(query: &sqlparser::ast::Query) -> Option<sqlparser::ast::ObjectName> {
    let select = query.body.as_select()?;
    match &select.from.first()?.relation {
        sqlparser::ast::TableFactor::Table { name, .. } => Some(name.clone()),
        _ => None,
    }
}

impl Planning<'_> {
    /// The expression of a generated column, planned once to find what is wrong with it.
    pub(super) fn stored(
        &self,
        table: &NewTable,
        position: usize,
        expr: &Expr,
        is_stored: &[bool],
    ) -> Result<String, SqlError> {
        let context = self.planner.maintained_context(self.text);
        let scope = query::table_scope(&table.desc, &table.name.item);
        let column = &table.desc.columns[position];
        let planned = query::plan_scalar(&context, &scope, expr).map_err(|error| {
            let message = "generation expression is not immutable";
            match error.message.contains("that is maintained") {
                true => SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message),
                false => error,
            }
        })?;
        if query::scalar_has_subquery(&planned.expr) {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cannot use subquery in column generation expression",
            ));
        }
        let planned = query::coerce_assignment(&context, planned, &column.typ, &column.name)?;
        let mut used = crate::statements::over_columns(planned.expr)?.support().into_iter();
        if let Some(other) = used.find(|used| is_stored.get(*used) == Some(&true)) {
            let name = &table.desc.columns[other].name;
            return Err(SqlError::new(
                SqlState::INVALID_OBJECT_DEFINITION,
                format!("cannot use generated column \"{name}\" in column generation expression"),
            )
            .with_detail("A generated column cannot reference another generated column."));
        }
        Ok(expr.to_string())
    }

    pub(in crate::statements) fn sequence(
        &self,
        statement: &SequenceStatement,
    ) -> Result<Planned, SqlError> {
        if statement.alter {
            return self.alter_sequence(statement);
        }
        const TAG: &str = "CREATE SEQUENCE";
        if statement.temporary {
            return Err(SqlError::unsupported("CREATE TEMPORARY SEQUENCE"));
        }
        let name = self.new_name(&statement.name)?;
        if let Some(planned) = self.check_free(&name, statement.if_exists, TAG)? {
            return Ok(planned);
        }
        if statement.options.iter().any(|option| matches!(option, SequenceOption::Restart(_))) {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "syntax error at or near \"RESTART\"",
            ));
        }
        let mut sequence = new_sequence(&ScalarType::Int8, &statement.options)?;
        let owner = self.owner(&statement.options)?;
        sequence.owned_by = owner.flatten();
        let item = NewItem {
            create_sql: sequence_sql(&name, &sequence),
            name,
            depends_on: sequence.owned_by.iter().map(|(table, _)| *table).collect(),
            definition: Definition::Sequence(sequence),
            replaces: None,
        };
        Ok(command(Plan::CreateSequence(item)))
    }

    /// The column that `OWNED BY` names, if it is said; `NONE` is none.
    fn owner(
        &self,
        options: &[SequenceOption],
    ) -> Result<Option<Option<(ObjectId, usize)>>, SqlError> {
        let said = options.iter().find_map(|option| match option {
            SequenceOption::OwnedBy(name) => Some(name),
            _ => None,
        });
        let Some(name) = said else { return Ok(None) };
        let Some(name) = name else { return Ok(Some(None)) };
        let mut table = name.clone();
        let column = table.0.pop();
        let column = column.as_ref().and_then(|part| part.as_ident());
        let Some(column) = column.filter(|_| !table.0.is_empty()) else {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid OWNED BY option")
                .with_hint("Specify OWNED BY table.column or OWNED BY NONE."));
        };
        let item = self.item(&table, &[ItemKind::Table])?;
        let desc = item.desc().ok_or_else(|| SqlError::internal("a table without columns"))?;
        let position = desc.position(&column.value).ok_or_else(|| {
            let (column, table) = (&column.value, &item.name.item);
            SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{column}\" of relation \"{table}\" does not exist"),
            )
        })?;
        Ok(Some(Some((item.id, position))))
    }

    fn alter_sequence(&self, statement: &SequenceStatement) -> Result<Planned, SqlError> {
        const TAG: &str = "ALTER SEQUENCE";
        let found = self.item(&statement.name, &[ItemKind::Sequence]);
        let item = match found {
            Err(error) if statement.if_exists && super::super::drop::is_missing(&error) => {
                let name = names::parts(&statement.name)?.join(".");
                let message = format!("relation \"{name}\" does not exist, skipping");
                return Ok(nothing(TAG, SqlState("00000"), message));
            }
            other => other?,
        };
        let Some(old) = item.sequence() else {
            return Err(SqlError::internal("a sequence that is none"));
        };
        if statement.options.is_empty() {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at end of input"));
        }
        let (mut sequence, restart) = changed(old.clone(), &statement.options, false)?;
        let mut depends_on = item.depends_on.clone();
        if let Some(owner) = self.owner(&statement.options)? {
            sequence.owned_by = owner;
            depends_on = owner.iter().map(|(table, _)| *table).collect();
        }
        let restart = restart.map(|value| value.unwrap_or(sequence.start));
        let plan = AlterSequencePlan {
            id: item.id,
            create_sql: sequence_sql(&item.name, &sequence),
            sequence,
            depends_on,
            restart,
        };
        let mut planned = command(Plan::AlterSequence(Box::new(plan)));
        let caches = |option: &SequenceOption| matches!(option, SequenceOption::Cache(n) if *n > 1);
        if statement.options.iter().any(caches) {
            planned.notices.push(Notice::new(
                SqlState("00000"),
                "CACHE has no effect: the server keeps numbers ready by itself",
            ));
        }
        Ok(planned)
    }
}
