//! Values of composite types from their text: `(1,"a b",)`.

use super::{TextSettings, parse_scalar_into};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::row::RowBuilder;
use crate::user_type::CompositeType;

fn malformed(text: &str, detail: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("malformed record literal: \"{text}\""),
    )
    .with_detail(detail)
}

/// Reads a value of each field; what is between commas is NULL where there is nothing.
pub(super) fn parse_record_into(
    typ: &CompositeType,
    text: &str,
    settings: &TextSettings,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let body = text.trim_ascii_start();
    let Some(mut rest) = body.strip_prefix('(') else {
        return Err(malformed(text, "Missing left parenthesis."));
    };
    let mut fields = RowBuilder::new();
    for (at, (_, field)) in typ.fields.iter().enumerate() {
        if at > 0 {
            rest = rest.strip_prefix(',').ok_or_else(|| malformed(text, "Too few columns."))?;
        }
        if rest.starts_with([',', ')']) {
            fields.push(Datum::Null);
            continue;
        }
        let (value, after) =
            value(rest).ok_or_else(|| malformed(text, "Unexpected end of input."))?;
        rest = after;
        parse_scalar_into(&field.scalar_type, field.typmod, &value, settings, &mut fields)?;
    }
    let Some(end) = rest.strip_prefix(')') else {
        return Err(malformed(text, "Too many columns."));
    };
    if !end.trim_ascii().is_empty() {
        return Err(malformed(text, "Junk after right parenthesis."));
    }
    row.push_record_encoded(fields.bytes());
    Ok(())
}

/// A value, without its quotes, and what follows it; None if the text ends before it does.
fn value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut quoted = false;
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        match c {
            ',' | ')' if !quoted => return Some((value, &text[at..])),
            '\\' => value.push(rest.next()?.1),
            '"' if quoted && matches!(rest.peek(), Some((_, '"'))) => {
                rest.next();
                value.push('"');
            }
            '"' => quoted = !quoted,
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn quotes_and_backslashes_are_taken_off() {
        let cases = [
            ("1,b)", Some(("1", ",b)"))),
            (" a b )", Some((" a b ", ")"))),
            ("\"a,\"\"b)\\\\\",", Some(("a,\"b)\\", ","))),
            ("a\\,b)", Some(("a,b", ")"))),
            ("\"a", None),
            ("a\\", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|(value, rest)| (value.to_owned(), rest));
            assert_eq!(value(text), expected, "{text}");
        }
    }
}
