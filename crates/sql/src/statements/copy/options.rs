//! The options of COPY, checked as PostgreSQL checks them.

use tidemill_repr::{Column, SqlError, SqlState};

use crate::ast::{Copy, NamedOption, OptionValue};
use crate::names;
use crate::plan::{CopyFormat, CopyHeader, CopyOptions};

/// Names of columns; None: all.
type ColumnNames = Option<Vec<String>>;

/// The options of a statement, before its columns are known.
#[derive(Default)]
pub(super) struct Given {
    /// All but what is said of single columns.
    pub(super) options: CopyOptions,
    force_quote: Option<ColumnNames>,
    force_not_null: Option<ColumnNames>,
    force_null: Option<ColumnNames>,
}

/// What was written, before it is known to fit together.
#[derive(Default)]
struct Written {
    format: Option<CopyFormat>,
    delimiter: Option<String>,
    null: Option<String>,
    header: Option<CopyHeader>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote: Option<ColumnNames>,
    force_not_null: Option<ColumnNames>,
    force_null: Option<ColumnNames>,
}

fn error(code: SqlState, message: impl Into<String>) -> SqlError {
    SqlError::new(code, message)
}

/// Reads and checks the options.
pub(super) fn read(statement: &Copy) -> Result<Given, SqlError> {
    let mut written = Written::default();
    for (index, option) in statement.options.iter().enumerate() {
        if statement.options.iter().take(index).any(|other| other.name == option.name) {
            return Err(error(SqlState::SYNTAX_ERROR, "conflicting or redundant options"));
        }
        read_one(option, statement.from, &mut written)?;
    }
    fit(written, statement.from)
}

fn read_one(option: &NamedOption, from: bool, written: &mut Written) -> Result<(), SqlError> {
    match option.name.as_str() {
        "FORMAT" => {
            let format = text(option)?;
            written.format = Some(match format.as_str() {
                "text" => CopyFormat::Text,
                "csv" => CopyFormat::Csv,
                "binary" => CopyFormat::Binary,
                _ => {
                    return Err(error(
                        SqlState::INVALID_PARAMETER_VALUE,
                        format!("COPY format \"{format}\" not recognized"),
                    ));
                }
            });
        }
        "FREEZE" => drop(boolean(option)?),
        "DELIMITER" => written.delimiter = Some(text(option)?),
        "NULL" => written.null = Some(text(option)?),
        "HEADER" => written.header = Some(header(option, from)?),
        "QUOTE" => written.quote = Some(text(option)?),
        "ESCAPE" => written.escape = Some(text(option)?),
        "FORCE_QUOTE" => written.force_quote = Some(columns(option, true)?),
        "FORCE_NOT_NULL" => written.force_not_null = Some(columns(option, false)?),
        "FORCE_NULL" => written.force_null = Some(columns(option, false)?),
        "ENCODING" => encoding(&text(option)?)?,
        name => {
            return Err(error(
                SqlState::SYNTAX_ERROR,
                format!("option \"{}\" not recognized", name.to_lowercase()),
            ));
        }
    }
    Ok(())
}

fn text(option: &NamedOption) -> Result<String, SqlError> {
    match &option.value {
        OptionValue::Text(text) | OptionValue::Number(text) => Ok(text.clone()),
        OptionValue::Name(name) => Ok(names::parts(name)?.join(".")),
        _ => Err(error(
            SqlState::SYNTAX_ERROR,
            format!("{} requires a parameter", option.name.to_lowercase()),
        )),
    }
}

fn boolean(option: &NamedOption) -> Result<bool, SqlError> {
    if matches!(option.value, OptionValue::None) {
        return Ok(true);
    }
    match text(option)?.to_lowercase().as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ => Err(error(
            SqlState::SYNTAX_ERROR,
            format!("{} requires a Boolean value", option.name.to_lowercase()),
        )),
    }
}

fn header(option: &NamedOption, from: bool) -> Result<CopyHeader, SqlError> {
    if let Ok(yes) = boolean(option) {
        return Ok(if yes { CopyHeader::Line } else { CopyHeader::None });
    }
    if text(option)?.to_lowercase() != "match" {
        return Err(error(SqlState::SYNTAX_ERROR, "header requires a Boolean value or \"match\""));
    }
    if !from {
        return Err(error(
            SqlState::FEATURE_NOT_SUPPORTED,
            "cannot use \"match\" with HEADER in COPY TO",
        ));
    }
    Ok(CopyHeader::Match)
}

fn columns(option: &NamedOption, star: bool) -> Result<ColumnNames, SqlError> {
    match &option.value {
        OptionValue::List(list) => {
            let parts = list.iter().map(names::parts).collect::<Result<Vec<_>, _>>()?;
            Ok(Some(parts.into_iter().map(|parts| parts.join(".")).collect()))
        }
        OptionValue::Text(text) if star && text == "*" => Ok(None),
        _ => Err(error(
            SqlState::INVALID_PARAMETER_VALUE,
            format!(
                "argument to option \"{}\" must be a list of column names",
                option.name.to_lowercase()
            ),
        )),
    }
}

/// All text is UTF-8 here.
fn encoding(name: &str) -> Result<(), SqlError> {
    let folded: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_lowercase();
    match folded.as_str() {
        "utf8" | "unicode" | "sqlascii" => Ok(()),
        _ if folded.starts_with("latin")
            || folded.starts_with("win")
            || folded.starts_with("iso8859")
            || folded.starts_with("euc")
            || ["sjis", "big5", "gbk", "gb18030", "uhc", "johab", "koi8r", "koi8u"]
                .contains(&folded.as_str()) =>
        {
            Err(SqlError::unsupported(format_args!("encoding {name} of COPY"))
                .with_hint("Send UTF-8."))
        }
        _ => Err(error(
            SqlState::INVALID_PARAMETER_VALUE,
            "argument to option \"encoding\" must be a valid encoding name",
        )),
    }
}

fn one_byte(value: &str, what: &str) -> Result<u8, SqlError> {
    match value.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(error(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("COPY {what} must be a single one-byte character"),
        )),
    }
}

fn fit(written: Written, from: bool) -> Result<Given, SqlError> {
    let format = written.format.unwrap_or_default();
    let csv = format == CopyFormat::Csv;
    let unsupported = |message: &str| Err(error(SqlState::FEATURE_NOT_SUPPORTED, message));
    let invalid = |message: String| Err(error(SqlState::INVALID_PARAMETER_VALUE, message));
    if format == CopyFormat::Binary {
        if written.delimiter.is_some() {
            return Err(error(SqlState::SYNTAX_ERROR, "cannot specify DELIMITER in BINARY mode"));
        }
        if written.null.is_some() {
            return Err(error(SqlState::SYNTAX_ERROR, "cannot specify NULL in BINARY mode"));
        }
    }
    let delimiter = written.delimiter.unwrap_or_else(|| if csv { "," } else { "\t" }.to_owned());
    let null = written.null.unwrap_or_else(|| if csv { "" } else { "\\N" }.to_owned());
    let delimiter = one_byte(&delimiter, "delimiter")?;
    if delimiter == b'\r' || delimiter == b'\n' {
        return invalid("COPY delimiter cannot be newline or carriage return".to_owned());
    }
    if null.contains(['\r', '\n']) {
        return invalid(
            "COPY null representation cannot use newline or carriage return".to_owned(),
        );
    }
    if !csv && b"\\.abcdefghijklmnopqrstuvwxyz0123456789".contains(&delimiter) {
        return invalid(format!("COPY delimiter cannot be \"{}\"", char::from(delimiter)));
    }
    let header = written.header.unwrap_or_default();
    if format == CopyFormat::Binary && header != CopyHeader::None {
        return unsupported("cannot specify HEADER in BINARY mode");
    }
    if !csv && written.quote.is_some() {
        return unsupported("COPY quote available only in CSV mode");
    }
    let quote = one_byte(written.quote.as_deref().unwrap_or("\""), "quote")?;
    if csv && delimiter == quote {
        return invalid("COPY delimiter and quote must be different".to_owned());
    }
    if !csv && written.escape.is_some() {
        return unsupported("COPY escape available only in CSV mode");
    }
    let escape = match &written.escape {
        Some(escape) => one_byte(escape, "escape")?,
        None => quote,
    };
    if written.force_quote.is_some() && !csv {
        return unsupported("COPY force quote available only in CSV mode");
    }
    if written.force_quote.is_some() && from {
        return unsupported("COPY force quote only available using COPY TO");
    }
    if written.force_not_null.is_some() && !csv {
        return unsupported("COPY force not null available only in CSV mode");
    }
    if written.force_not_null.is_some() && !from {
        return unsupported("COPY force not null only available using COPY FROM");
    }
    if written.force_null.is_some() && !csv {
        return unsupported("COPY force null available only in CSV mode");
    }
    if written.force_null.is_some() && !from {
        return unsupported("COPY force null only available using COPY FROM");
    }
    if null.as_bytes().contains(&delimiter) && format != CopyFormat::Binary {
        return unsupported("COPY delimiter must not appear in the NULL specification");
    }
    if csv && null.as_bytes().contains(&quote) {
        return unsupported("CSV quote character must not appear in the NULL specification");
    }
    let options =
        CopyOptions { format, delimiter, null, header, quote, escape, ..CopyOptions::default() };
    let Written { force_quote, force_not_null, force_null, .. } = written;
    Ok(Given { options, force_quote, force_not_null, force_null })
}

impl Given {
    /// Finds the columns that options name among those that are copied.
    pub(super) fn place(&mut self, columns: &[Column]) -> Result<(), SqlError> {
        self.options.force_quote = placed("FORCE_QUOTE", self.force_quote.take(), columns)?;
        self.options.force_not_null =
            placed("FORCE_NOT_NULL", self.force_not_null.take(), columns)?;
        self.options.force_null = placed("FORCE_NULL", self.force_null.take(), columns)?;
        Ok(())
    }
}

fn placed(
    option: &str,
    names: Option<ColumnNames>,
    columns: &[Column],
) -> Result<Vec<bool>, SqlError> {
    let names = match names {
        None => return Ok(vec![false; columns.len()]),
        Some(None) => return Ok(vec![true; columns.len()]),
        Some(Some(names)) => names,
    };
    let mut flags = vec![false; columns.len()];
    for name in names {
        match columns.iter().position(|column| column.name == name) {
            Some(position) => flags[position] = true,
            None => {
                return Err(error(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    format!("{option} column \"{name}\" not referenced by COPY"),
                ));
            }
        }
    }
    Ok(flags)
}
