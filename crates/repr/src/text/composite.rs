//! Arrays and records as text.

use super::{TextSettings, format_into, parse_scalar_into};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::row::{ArrayRef, RowBuilder, RowRef};
use crate::types::ScalarType;

/// PostgreSQL's most dimensions.
pub(crate) const MAX_DIMENSIONS: usize = 6;

fn malformed(text: &str, detail: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("malformed array literal: \"{text}\""),
    )
    .with_detail(detail)
}

const UNEVEN: &str = "Multidimensional arrays must have sub-arrays with matching dimensions.";

/// (length, lower bound) of each dimension.
type Bounds = Vec<(i32, i32)>;

struct ArrayParser<'a> {
    text: &'a str,
    at: usize,
    element: &'a ScalarType,
    typmod: i32,
    settings: &'a TextSettings,
    elements: RowBuilder,
    /// The length of each dimension, where it is known.
    lengths: Vec<Option<i32>>,
    /// How deep the elements lie, once one was seen.
    depth: Option<usize>,
    scratch: String,
}

/// Reads `{..}`, with nested braces, quotes, NULL and perhaps bounds in front.
pub(crate) fn parse_array_into(
    element: &ScalarType,
    typmod: i32,
    text: &str,
    settings: &TextSettings,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    let (bounds, body) = match text.trim_start().strip_prefix('[') {
        Some(_) => parse_bounds(text)?,
        None => (Vec::new(), text),
    };
    let mut parser = ArrayParser {
        text,
        at: text.len() - body.len(),
        element,
        typmod,
        settings,
        elements: RowBuilder::new(),
        lengths: Vec::new(),
        depth: None,
        scratch: String::new(),
    };
    parser.skip_space();
    if parser.peek() != Some(b'{') {
        let detail = if bounds.is_empty() {
            "Array value must start with \"{\" or dimension information."
        } else {
            "Array contents must start with \"{\"."
        };
        return Err(malformed(text, detail));
    }
    parser.level(0)?;
    parser.skip_space();
    if parser.peek().is_some() {
        return Err(malformed(text, "Junk after closing right brace."));
    }
    let Some(depth) = parser.depth else {
        row.push_array_encoded(&[], &[]);
        return Ok(());
    };
    if !bounds.is_empty() {
        let same = bounds.len() == depth
            && bounds.iter().zip(&parser.lengths).all(|((length, _), have)| Some(*length) == *have);
        if !same {
            return Err(malformed(text, "Specified array dimensions do not match array contents."));
        }
    }
    let dimensions: Vec<(i32, i32)> = parser
        .lengths
        .iter()
        .enumerate()
        .map(|(at, length)| (length.unwrap_or(0), bounds.get(at).map_or(1, |bound| bound.1)))
        .collect();
    row.push_array_encoded(&dimensions, parser.elements.bytes());
    Ok(())
}

/// `[1:3][0:2]=` in front: (length, lower bound) of each, and what follows.
fn parse_bounds(text: &str) -> Result<(Bounds, &str), SqlError> {
    let wrong = || malformed(text, "Missing array dimension value.");
    let mut bounds = Vec::new();
    let mut rest = text.trim_start();
    while let Some(inner) = rest.strip_prefix('[') {
        let (bound, after) = inner.split_once(']').ok_or_else(wrong)?;
        let number = |text: &str| text.trim().parse::<i32>().map_err(|_| wrong());
        let (lower, upper) = match bound.split_once(':') {
            Some((lower, upper)) => (number(lower)?, number(upper)?),
            None => (1, number(bound)?),
        };
        let length = i64::from(upper) - i64::from(lower) + 1;
        if length < 1 {
            return Err(SqlError::new(
                SqlState::SUBSCRIPT_ERROR,
                "upper bound cannot be less than lower bound",
            ));
        }
        bounds.push((i32::try_from(length).map_err(|_| wrong())?, lower));
        rest = after.trim_start();
    }
    let body = rest
        .strip_prefix('=')
        .ok_or_else(|| malformed(text, "Missing \"=\" after array dimensions."))?;
    Ok((bounds, body))
}

impl ArrayParser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)) {
            self.at += 1;
        }
    }

    fn fault(&self, detail: &str) -> SqlError {
        malformed(self.text, detail)
    }

    fn ended(&self) -> SqlError {
        self.fault("Unexpected end of input.")
    }

    /// Reads from `{` to its `}`.
    fn level(&mut self, depth: usize) -> Result<(), SqlError> {
        if depth >= MAX_DIMENSIONS {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!(
                    "number of array dimensions ({}) exceeds the maximum allowed ({MAX_DIMENSIONS})",
                    depth + 1
                ),
            ));
        }
        self.at += 1;
        let mut count = 0;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            // Only the whole array may be empty.
            return if depth == 0 { Ok(()) } else { Err(self.fault(UNEVEN)) };
        }
        if self.lengths.len() <= depth {
            self.lengths.push(None);
        }
        loop {
            self.skip_space();
            match self.peek() {
                None => return Err(self.ended()),
                Some(b'{') => {
                    if self.depth.is_some_and(|leaf| depth + 1 >= leaf) {
                        return Err(self.fault(UNEVEN));
                    }
                    self.level(depth + 1)?;
                }
                Some(b'}' | b',') => {
                    let found = char::from(self.peek().unwrap_or(b'}'));
                    return Err(self.fault(&format!("Unexpected \"{found}\" character.")));
                }
                Some(_) => {
                    if *self.depth.get_or_insert(depth + 1) != depth + 1 {
                        return Err(self.fault(UNEVEN));
                    }
                    self.element()?;
                }
            }
            count += 1;
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                None => return Err(self.ended()),
                Some(_) => return Err(self.fault("Unexpected array element.")),
            }
        }
        self.at += 1;
        match self.lengths[depth].replace(count) {
            Some(length) if length != count => Err(self.fault(UNEVEN)),
            _ => Ok(()),
        }
    }

    fn element(&mut self) -> Result<(), SqlError> {
        self.scratch.clear();
        let quoted = self.peek() == Some(b'"');
        // Where the part of `scratch` ends that may not be trimmed.
        let mut keep = 0;
        let mut escaped = false;
        if quoted {
            self.at += 1;
        }
        loop {
            let start = self.at;
            let stop = |byte: u8| match byte {
                b'\\' | b'"' => true,
                b',' | b'{' | b'}' => !quoted,
                _ => false,
            };
            while self.peek().is_some_and(|byte| !stop(byte)) {
                self.at += 1;
            }
            self.scratch.push_str(&self.text[start..self.at]);
            match self.peek() {
                None => return Err(self.ended()),
                Some(b'\\') => {
                    self.at += 1;
                    let next = self.text[self.at..].chars().next().ok_or_else(|| self.ended())?;
                    self.scratch.push(next);
                    self.at += next.len_utf8();
                    keep = self.scratch.len();
                    escaped = true;
                }
                Some(b'"') if quoted => {
                    self.at += 1;
                    break;
                }
                Some(b'"' | b'{') => return Err(self.fault("Unexpected array element.")),
                Some(_) => break,
            }
        }
        if !quoted {
            let end = self.scratch.trim_ascii_end().len().max(keep);
            self.scratch.truncate(end);
            if !escaped && self.scratch.eq_ignore_ascii_case("null") {
                self.elements.push(Datum::Null);
                return Ok(());
            }
        }
        let text = std::mem::take(&mut self.scratch);
        let parsed =
            parse_scalar_into(self.element, self.typmod, &text, self.settings, &mut self.elements);
        self.scratch = text;
        parsed
    }
}

/// Appends an array in braces; bounds in front only where one is not 1.
pub(crate) fn format_array(
    array: &ArrayRef<'_>,
    typ: &ScalarType,
    settings: &TextSettings,
    out: &mut String,
) {
    let unknown = ScalarType::Unknown;
    let element = match typ {
        ScalarType::Array(element) => element.as_ref(),
        _ => &unknown,
    };
    let dimensions = array.dimensions();
    if dimensions.is_empty() {
        return out.push_str("{}");
    }
    if dimensions.iter().any(|(_, lower)| *lower != 1) {
        for (length, lower) in &dimensions {
            let upper = i64::from(*lower) + i64::from(*length) - 1;
            out.push_str(&format!("[{lower}:{upper}]"));
        }
        out.push('=');
    }
    let mut elements = array.elements();
    let mut scratch = String::new();
    push_level(
        &dimensions,
        &mut elements,
        &mut scratch,
        &mut |datum, scratch, out| {
            if datum.is_null() {
                return out.push_str("NULL");
            }
            scratch.clear();
            format_into(&datum, element, settings, scratch);
            push_element(scratch, out);
        },
        out,
    );
}

type PushElement<'f> = dyn FnMut(Datum<'_>, &mut String, &mut String) + 'f;

fn push_level<'a>(
    dimensions: &[(i32, i32)],
    elements: &mut impl Iterator<Item = Datum<'a>>,
    scratch: &mut String,
    push: &mut PushElement<'_>,
    out: &mut String,
) {
    let Some(((length, _), inner)) = dimensions.split_first() else { return };
    out.push('{');
    for at in 0..*length {
        if at > 0 {
            out.push(',');
        }
        if inner.is_empty() {
            let Some(datum) = elements.next() else { break };
            push(datum, scratch, out);
        } else {
            push_level(inner, elements, scratch, push, out);
        }
    }
    out.push('}');
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

fn push_element(text: &str, out: &mut String) {
    let special = |byte: u8| matches!(byte, b'"' | b'\\' | b'{' | b'}' | b',') || is_space(byte);
    if !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.bytes().any(special) {
        return out.push_str(text);
    }
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// Appends a record in parentheses.
pub(crate) fn format_record(
    row: RowRef<'_>,
    typ: &ScalarType,
    settings: &TextSettings,
    out: &mut String,
) {
    let field_types;
    let fields: &[ScalarType] = match typ {
        ScalarType::Record(fields) => fields,
        ScalarType::Composite(definition) => {
            field_types = definition.field_types();
            &field_types
        }
        _ => &[],
    };
    let mut scratch = String::new();
    out.push('(');
    for (at, datum) in row.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        if datum.is_null() {
            continue;
        }
        scratch.clear();
        let field = fields.get(at).unwrap_or(&ScalarType::Unknown);
        format_into(&datum, field, settings, &mut scratch);
        push_field(&scratch, out);
    }
    out.push(')');
}

fn push_field(text: &str, out: &mut String) {
    let special = |byte: u8| matches!(byte, b'"' | b'\\' | b'(' | b')' | b',') || is_space(byte);
    if !text.is_empty() && !text.bytes().any(special) {
        return out.push_str(text);
    }
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push(c);
        }
        out.push(c);
    }
    out.push('"');
}
