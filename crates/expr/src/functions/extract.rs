//! Columns out of texts: `csv_extract`, `regexp_extract`.

use tidemill_repr::{Datum, SqlError, SqlState};

use crate::error::EvalError;
use crate::functions::arguments::{bad_parameter, int, one_dimension, text};
use crate::functions::regex::compile;
use crate::functions::table::{Emitter, Tables};
use crate::table_function::TableEval;

/// How many columns there may be.
const MAX_COLUMNS: i64 = 1600;

/// The names of the columns that a function gives, by its first argument.
///
/// # Errors
/// The argument says nothing of columns.
pub fn extracted_columns(
    function: &str,
    argument: Option<Datum<'_>>,
) -> Result<Vec<String>, SqlError> {
    let count = match (function, argument) {
        ("csv_extract", Some(Datum::Int(count))) => count,
        ("regexp_extract", Some(Datum::Text(pattern))) => {
            let groups = compile(pattern, "").map_err(SqlError::from)?.groups();
            i64::try_from(groups).unwrap_or(i64::MAX)
        }
        _ => 0,
    };
    if !(1..=MAX_COLUMNS).contains(&count) {
        let message = match function {
            "regexp_extract" => "regexp_extract must specify at least one capture group".to_owned(),
            _ => format!("{function} number of columns must be between 1 and {MAX_COLUMNS}"),
        };
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    Ok((1..=count).map(|number| format!("column{number}")).collect())
}

/// The records of a CSV text, by RFC 4180; empty lines are none.
fn records(text: &str) -> Result<Vec<Vec<String>>, EvalError> {
    let mut records = Vec::new();
    let mut fields = Vec::new();
    let mut field = String::new();
    let (mut quoted, mut any) = (false, false);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => (quoted, any) = (true, true),
            ',' if !quoted => {
                fields.push(std::mem::take(&mut field));
                any = true;
            }
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                if any {
                    fields.push(std::mem::take(&mut field));
                    records.push(std::mem::take(&mut fields));
                }
                any = false;
            }
            other => {
                field.push(other);
                any = true;
            }
        }
    }
    if quoted {
        return Err(EvalError::invalid(
            SqlState::BAD_COPY_FILE_FORMAT,
            "unterminated CSV quoted field",
        ));
    }
    if any {
        fields.push(field);
        records.push(fields);
    }
    Ok(records)
}

const CSV: TableEval = |a, _, emit| {
    let count = usize::try_from(int(a, 0)?).unwrap_or(0);
    let mut out = Emitter::new(emit);
    for fields in records(text(a, 1)?)? {
        if fields.len() != count {
            return Err(EvalError::invalid(
                SqlState::BAD_COPY_FILE_FORMAT,
                format!("a CSV record has {} columns, not {count}", fields.len()),
            ));
        }
        let dimensions = one_dimension(count);
        out.build(|row| row.push_array(&dimensions, fields.iter().map(|f| Datum::Text(f))))?;
    }
    Ok(())
};

const REGEXP: TableEval = |a, _, emit| {
    let (pattern, source) = (compile(text(a, 0)?, "")?, text(a, 1)?);
    if pattern.groups() == 0 {
        return Err(bad_parameter("regexp_extract must specify at least one capture group"));
    }
    let Some(found) = pattern.find(source, 0)? else { return Ok(()) };
    let groups: Vec<Datum<'_>> = found
        .groups
        .iter()
        .map(|group| group.clone().and_then(|range| source.get(range)))
        .map(|group| group.map_or(Datum::Null, Datum::Text))
        .collect();
    let dimensions = one_dimension(groups.len());
    Emitter::new(emit).build(|row| row.push_array(&dimensions, groups))
};

pub(super) fn define_tables(t: &mut Tables) {
    let doc =
        "The fields of each record of a CSV text, in as many columns as the first argument says.";
    t.add("csv_extract", "csv_extract(int4, text) -> text[]", true, CSV, doc);
    let doc = "What the groups of a regular expression match, each in a column.";
    t.add("regexp_extract", "regexp_extract(text, text) -> text[]", true, REGEXP, doc);
}

#[cfg(test)]
mod tests {
    use super::records;

    #[test]
    fn csv_is_read_by_the_standard() {
        let read = records("a,\"b \"\"x\"\",\n\",c\r\n\n,,\n\"\"").unwrap();
        assert_eq!(
            read,
            [vec!["a", "b \"x\",\n", "c"], vec!["", "", ""], vec![""]]
                .map(|fields| fields.into_iter().map(str::to_owned).collect::<Vec<_>>())
        );
        assert!(records("\"a").is_err());
    }
}
