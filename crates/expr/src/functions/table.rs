//! Functions that give rows.

use tidemill_repr::{Datum, Numeric, RowBuilder};

use crate::error::EvalError;
use crate::function::TypePattern;
use crate::functions::arguments::{array, bad_parameter, int, numeric, text};
use crate::functions::definitions::{leak, pattern};
use crate::table_function::{TableEval, TableFunction};

/// Rows a series may have; more would fill the memory before anyone sees them.
const MAX_ROWS: u64 = 100_000_000;

fn too_many_rows() -> EvalError {
    EvalError::invalid(
        tidemill_repr::SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("a series may not have more than {MAX_ROWS} rows"),
    )
}

/// Gives rows of one column.
pub(super) struct Emitter<'e> {
    emit: &'e mut dyn FnMut(&RowBuilder),
    builder: RowBuilder,
    rows: u64,
}

impl<'e> Emitter<'e> {
    pub(super) fn new(emit: &'e mut dyn FnMut(&RowBuilder)) -> Emitter<'e> {
        Emitter { emit, builder: RowBuilder::new(), rows: 0 }
    }

    /// A row that `fill` builds.
    pub(super) fn build(&mut self, fill: impl FnOnce(&mut RowBuilder)) -> Result<(), EvalError> {
        self.rows += 1;
        if self.rows > MAX_ROWS {
            return Err(too_many_rows());
        }
        self.builder.clear();
        fill(&mut self.builder);
        (self.emit)(&self.builder);
        Ok(())
    }

    pub(super) fn row<'a>(
        &mut self,
        datums: impl IntoIterator<Item = Datum<'a>>,
    ) -> Result<(), EvalError> {
        self.rows += 1;
        if self.rows > MAX_ROWS {
            return Err(too_many_rows());
        }
        self.builder.clear();
        self.builder.extend(datums);
        (self.emit)(&self.builder);
        Ok(())
    }
}

fn zero_step() -> EvalError {
    bad_parameter("step size cannot equal zero")
}

const INT_SERIES: TableEval = |a, _, emit| {
    let (start, stop) = (int(a, 0)?, int(a, 1)?);
    let step = if a.len() > 2 { int(a, 2)? } else { 1 };
    if step == 0 {
        return Err(zero_step());
    }
    let mut out = Emitter::new(emit);
    let mut value = Some(start);
    while let Some(current) = value {
        if (step > 0 && current > stop) || (step < 0 && current < stop) {
            break;
        }
        out.row([Datum::Int(current)])?;
        value = current.checked_add(step);
    }
    Ok(())
};

const NUMERIC_SERIES: TableEval = |a, _, emit| {
    let (start, stop) = (numeric(a, 0)?, numeric(a, 1)?);
    let step = if a.len() > 2 { numeric(a, 2)? } else { Numeric::ONE };
    for (value, what) in [(start, "start"), (stop, "stop"), (step, "step")] {
        if !value.is_finite() {
            let shown = if value.is_nan() { "NaN" } else { "infinity" };
            let kind = if what == "step" { "step size" } else { what };
            let value = if what == "step" { "" } else { " value" };
            return Err(bad_parameter(format!("{kind}{value} cannot be {shown}")));
        }
    }
    if step.is_zero() {
        return Err(zero_step());
    }
    let mut out = Emitter::new(emit);
    let mut current = start;
    loop {
        let order = current.sql_cmp(&stop);
        if (step.signum() > 0 && order.is_gt()) || (step.signum() < 0 && order.is_lt()) {
            return Ok(());
        }
        out.row([Datum::Numeric(current)])?;
        current = current.add(&step)?;
    }
};

const UNNEST: TableEval = |a, _, emit| {
    let mut out = Emitter::new(emit);
    for element in array(a, 0)?.elements() {
        out.row([element])?;
    }
    Ok(())
};

const NUMBERED: TableEval = |a, _, emit| {
    let mut out = Emitter::new(emit);
    array(a, 0)?.elements().zip(1..).try_for_each(|(element, n)| out.row([element, Datum::Int(n)]))
};

const SUBSCRIPTS: TableEval = |a, _, emit| {
    let at = usize::try_from(int(a, 1)? - 1).unwrap_or(usize::MAX);
    let reverse = matches!(a.get(2), Some(Datum::Bool(true)));
    let Some((length, lower)) = array(a, 0)?.dimensions().get(at).copied() else { return Ok(()) };
    let (lower, upper) = (i64::from(lower), i64::from(lower) + i64::from(length) - 1);
    let mut out = Emitter::new(emit);
    for at in 0..i64::from(length) {
        out.row([Datum::Int(if reverse { upper - at } else { lower + at })])?;
    }
    Ok(())
};

const STRING_SPLIT: TableEval = |a, _, emit| {
    if a.first().is_none_or(Datum::is_null) {
        return Ok(());
    }
    let mut parts = Vec::new();
    super::text::split(text(a, 0)?, a.get(1).copied(), a.get(2).copied(), &mut |part| {
        parts.push(part)
    })?;
    let mut out = Emitter::new(emit);
    parts.into_iter().try_for_each(|part| out.row([part]))
};

/// Writes definitions down: `name(types) -> column type, ..`.
pub(super) struct Tables(Vec<TableFunction>);

impl Tables {
    pub(super) fn add(
        &mut self,
        id: &str,
        signature: &str,
        strict: bool,
        eval: TableEval,
        doc: &'static str,
    ) {
        let (head, returns) = signature.split_once(" -> ").unwrap_or((signature, ""));
        let (name, arguments) = head.split_once('(').unwrap_or((head, ""));
        let arguments: Vec<TypePattern> = arguments
            .trim_end_matches(')')
            .split(',')
            .map(str::trim)
            .filter(|argument| !argument.is_empty())
            .map(pattern)
            .collect();
        let columns: Vec<(&'static str, TypePattern)> = returns
            .split(", ")
            .map(|column| match column.split_once(' ') {
                Some((name, typ)) => (leak(name), pattern(typ)),
                None => ("", pattern(column)),
            })
            .collect();
        self.0.push(TableFunction {
            id: leak(id),
            name: leak(name),
            arguments: Vec::leak(arguments),
            strict,
            columns: Vec::leak(columns),
            eval,
            parts: &[],
            ordinality: false,
            doc,
        });
    }
}

pub(super) fn definitions() -> Vec<TableFunction> {
    let mut t = Tables(Vec::new());
    let doc = "The numbers from one to another, by a step.";
    for (typ, eval) in [("int4", INT_SERIES), ("int8", INT_SERIES), ("numeric", NUMERIC_SERIES)] {
        let id = format!("generate_series_{typ}");
        t.add(&id, &format!("generate_series({typ}, {typ}) -> {typ}"), true, eval, doc);
        let id = format!("generate_series_step_{typ}");
        t.add(&id, &format!("generate_series({typ}, {typ}, {typ}) -> {typ}"), true, eval, doc);
    }
    t.add("unnest", "unnest(anyarray) -> anyelement", true, UNNEST, "The elements of an array.");
    let doc = "The elements of an array with their places.";
    let signature = "_pg_expandarray(anyarray) -> x anyelement, n int4";
    t.add("_pg_expandarray", signature, true, NUMBERED, doc);
    let ranges: TableEval = |a, _, emit| {
        let mut out = Emitter::new(emit);
        let ranges = super::arguments::multirange(a, 0)?.ranges();
        ranges.into_iter().try_for_each(|range| out.row([Datum::Range(range)]))
    };
    let doc = "The ranges of a multirange.";
    t.add("multirange_unnest", "unnest(anymultirange) -> anyrange", true, ranges, doc);
    let elements: TableEval = |a, _, emit| {
        let mut out = Emitter::new(emit);
        super::arguments::list(a, 0)?.iter().try_for_each(|element| out.row([element]))
    };
    let doc = "The elements of a list.";
    t.add("list_unnest", "unnest(anylist) -> anyelement", true, elements, doc);
    let doc = "The subscripts of a dimension.";
    t.add(
        "generate_subscripts_nodir",
        "generate_subscripts(anyarray, int4) -> int4",
        true,
        SUBSCRIPTS,
        doc,
    );
    t.add(
        "generate_subscripts",
        "generate_subscripts(anyarray, int4, bool) -> int4",
        true,
        SUBSCRIPTS,
        doc,
    );
    super::regex::calls::define_tables(&mut t);
    let doc = "The fields of a text.";
    t.add("text_to_table", "string_to_table(text, text) -> text", false, STRING_SPLIT, doc);
    t.add(
        "text_to_table_null",
        "string_to_table(text, text, text) -> text",
        false,
        STRING_SPLIT,
        doc,
    );
    super::jsonb::define_tables(&mut t);
    super::json::define_tables(&mut t);
    super::jsonpath::define_tables(&mut t);
    super::datetime::define_tables(&mut t);
    super::extract::define_tables(&mut t);
    super::keywords::define_tables(&mut t);
    t.0
}
