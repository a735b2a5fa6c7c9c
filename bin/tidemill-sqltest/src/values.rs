//! Rows as the lines of a test file: printing, sorting, hashing.

use sqllogictest::{DefaultColumnType, SortMode};

use crate::session::Outcome;

/// How a query's rows are turned into lines.
pub struct Printing<'a> {
    /// The declared types of the columns.
    pub types: &'a [DefaultColumnType],
    /// The order.
    pub sort: SortMode,
    /// SQLite's files: values by declared type, one a line.
    pub typed: bool,
    /// Whether all values are given as one hash.
    pub hashed: bool,
}

impl Printing<'_> {
    /// The lines of an outcome.
    pub fn lines(&self, outcome: &Outcome) -> Vec<String> {
        let mut rows: Vec<Vec<String>> = outcome.rows.iter().map(|row| self.values(row)).collect();
        match self.sort {
            SortMode::NoSort => {}
            SortMode::RowSort => rows.sort(),
            SortMode::ValueSort => {
                let mut values: Vec<String> = rows.into_iter().flatten().collect();
                values.sort();
                rows = values.into_iter().map(|value| vec![value]).collect();
            }
        }
        if self.hashed {
            let count: usize = rows.iter().map(Vec::len).sum();
            let text: String = rows.iter().flatten().map(|value| format!("{value}\n")).collect();
            return vec![format!("{count} values hashing to {:x}", md5::compute(text))];
        }
        if self.typed {
            return rows.into_iter().flatten().collect();
        }
        let lines = rows.iter().map(|row| row.join(" "));
        lines.flat_map(|row| row.split('\n').map(one_line).collect::<Vec<_>>()).collect()
    }

    fn values(&self, row: &[Option<String>]) -> Vec<String> {
        let values = row.iter().enumerate();
        values.map(|(column, value)| self.value(column, value.as_deref())).collect()
    }

    fn value(&self, column: usize, value: Option<&str>) -> String {
        let Some(value) = value else { return "NULL".to_owned() };
        if self.typed {
            match self.types.get(column) {
                Some(DefaultColumnType::Integer) => return integer(value),
                Some(DefaultColumnType::FloatingPoint) => {
                    return value.parse().map_or(value.to_owned(), |v: f64| format!("{v:.3}"));
                }
                _ => {}
            }
        }
        if value.is_empty() { "(empty)".to_owned() } else { value.to_owned() }
    }
}

fn integer(value: &str) -> String {
    match value {
        "t" => "1".to_owned(),
        "f" => "0".to_owned(),
        _ => match value.parse::<f64>() {
            Ok(number) if value.contains('.') => format!("{}", number.trunc() as i64),
            _ => value.to_owned(),
        },
    }
}

/// A record of the file ends at an empty line, so that a value cannot hold one.
fn one_line(line: &str) -> String {
    if line.is_empty() { "(blank)".to_owned() } else { line.trim_end().to_owned() }
}

/// Text as a regular expression that matches just it.
pub fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if "\\.+*?()|[]{}^$".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
