//! JSON text into the canonical form, in one pass.

use super::JsonbBuilder;
use crate::error::{SqlError, SqlState};
use crate::numeric::Numeric;

/// Arrays and objects inside one another; more would endanger the stack of those who walk them.
const MAX_DEPTH: usize = 1000;

/// Reads JSON text and gives the canonical encoding.
///
/// # Errors
/// No JSON (`22P02`), too deep (`54001`), or a character that text cannot hold (`22P05`).
pub fn parse_jsonb(text: &str) -> Result<Vec<u8>, SqlError> {
    let mut parser = Parser { text, at: 0, builder: JsonbBuilder::new(), scratch: String::new() };
    parser.value(0)?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.unexpected("end of input"));
    }
    Ok(parser.builder.finish())
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    builder: JsonbBuilder,
    /// A string with escapes, decoded.
    scratch: String,
}

fn invalid(detail: String) -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json")
        .with_detail(detail)
}

#[cold]
fn too_deep() -> SqlError {
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
        .with_detail(format!("JSON may be nested {MAX_DEPTH} levels deep."))
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// The token at the place, for messages.
    fn token(&self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or("");
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '+' | '-' | '.');
        let length = match rest.chars().next() {
            Some(first) if word(first) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            Some('"') => rest[1..].find('"').map_or(rest.len(), |end| end + 2),
            Some(first) => first.len_utf8(),
            None => 0,
        };
        &rest[..length]
    }

    fn unexpected(&self, expected: &str) -> SqlError {
        let token = self.token();
        match token.as_bytes().first() {
            None => invalid("The input string ended unexpectedly.".to_owned()),
            Some(b'{' | b'}' | b'[' | b']' | b',' | b':' | b'"' | b'0'..=b'9') => {
                invalid(format!("Expected {expected}, but found \"{token}\"."))
            }
            _ if matches!(token, "true" | "false" | "null") => {
                invalid(format!("Expected {expected}, but found \"{token}\"."))
            }
            Some(_) => self.invalid_token(),
        }
    }

    fn invalid_token(&self) -> SqlError {
        invalid(format!("Token \"{}\" is invalid.", self.token()))
    }

    fn value(&mut self, depth: usize) -> Result<(), SqlError> {
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            _ => self.leaf(),
        }
    }

    /// A value without others in it; apart, so that a level takes little of the stack.
    fn leaf(&mut self) -> Result<(), SqlError> {
        match self.peek() {
            Some(b'"') => {
                if let Some(plain) = self.string()? {
                    self.builder.string(plain);
                } else {
                    self.builder.string(&self.scratch);
                }
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                match self.token() {
                    "true" => self.builder.bool(true),
                    "false" => self.builder.bool(false),
                    "null" => self.builder.null(),
                    _ => return Err(self.unexpected("JSON value")),
                }
                self.at += self.token().len();
                Ok(())
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), SqlError> {
        self.at += 1;
        self.builder.begin_array();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                self.value(depth + 1)?;
                if self.ends(b']', "\",\" or \"]\"")? {
                    break;
                }
            }
        }
        self.builder.end_array();
        Ok(())
    }

    /// After an element or member: whether the end follows, not a comma.
    fn ends(&mut self, end: u8, expected: &str) -> Result<bool, SqlError> {
        self.skip_space();
        match self.peek() {
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(true)
            }
            Some(b',') => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), SqlError> {
        self.at += 1;
        self.builder.begin_object();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                self.member(depth)?;
                if self.ends(b'}', "\",\" or \"}\"")? {
                    break;
                }
            }
        }
        self.builder.end_object();
        Ok(())
    }

    fn member(&mut self, depth: usize) -> Result<(), SqlError> {
        self.skip_space();
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("string"));
        }
        if let Some(plain) = self.string()? {
            self.builder.key(plain);
        } else {
            self.builder.key(&self.scratch);
        }
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("\":\""));
        }
        self.at += 1;
        self.value(depth + 1)
    }

    fn number(&mut self) -> Result<(), SqlError> {
        let token = self.token();
        if !is_json_number(token.as_bytes()) {
            return Err(self.invalid_token());
        }
        self.at += token.len();
        let number = Numeric::parse(token)?;
        self.builder.number(&number);
        Ok(())
    }

    /// Reads a string: as it stands in the text, or decoded into `scratch` (none).
    fn string(&mut self) -> Result<Option<&'a str>, SqlError> {
        let quote = self.at;
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Some(&self.text[start..self.at - 1]));
                }
                Some(b'\\') => break,
                Some(byte) if byte >= 0x20 => self.at += 1,
                other => return Err(self.bad_string(quote, other)),
            }
        }
        self.scratch.clear();
        let mut from = start;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.scratch.push_str(&self.text[from..self.at]);
                    self.at += 1;
                    return Ok(None);
                }
                Some(b'\\') => {
                    self.scratch.push_str(&self.text[from..self.at]);
                    self.escape(quote)?;
                    from = self.at;
                }
                Some(byte) if byte >= 0x20 => self.at += 1,
                other => return Err(self.bad_string(quote, other)),
            }
        }
    }

    fn bad_string(&self, quote: usize, byte: Option<u8>) -> SqlError {
        match byte {
            Some(byte) => invalid(format!("Character with value 0x{byte:02x} must be escaped.")),
            None => invalid(format!("Token \"{}\" is invalid.", &self.text[quote..])),
        }
    }

    fn escape(&mut self, quote: usize) -> Result<(), SqlError> {
        self.at += 1;
        let decoded = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                let decoded = self.unicode()?;
                self.scratch.push(decoded);
                return Ok(());
            }
            Some(_) => {
                let wrong = self.text[self.at..].chars().next().unwrap_or('\\');
                return Err(invalid(format!("Escape sequence \"\\{wrong}\" is invalid.")));
            }
            None => return Err(self.bad_string(quote, None)),
        };
        self.at += 1;
        self.scratch.push(decoded);
        Ok(())
    }

    fn four_digits(&mut self) -> Result<u32, SqlError> {
        let digits = self.text.get(self.at..self.at + 4);
        let code = digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| {
                invalid("\"\\u\" must be followed by four hexadecimal digits.".to_owned())
            })?;
        self.at += 4;
        Ok(code)
    }

    fn unicode(&mut self) -> Result<char, SqlError> {
        let first = self.four_digits()?;
        let code = match first {
            0 => {
                return Err(SqlError::new(
                    SqlState("22P05"),
                    "unsupported Unicode escape sequence",
                )
                .with_detail("\\u0000 cannot be converted to text."));
            }
            0xD800..0xDC00 => {
                let low =
                    || invalid("Unicode low surrogate must follow a high surrogate.".to_owned());
                if self.text.get(self.at..self.at + 2) != Some("\\u") {
                    return Err(low());
                }
                self.at += 2;
                match self.four_digits()? {
                    second @ 0xDC00..0xE000 => {
                        0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
                    }
                    _ => return Err(low()),
                }
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(|| {
            invalid("Unicode low surrogate must follow a high surrogate.".to_owned())
        })
    }
}

fn is_json_number(token: &[u8]) -> bool {
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = token.strip_prefix(b"-").unwrap_or(token);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', exponent @ ..] => exponent,
            _ => exponent,
        };
        let count = digits(exponent);
        if count == 0 {
            return false;
        }
        rest = &exponent[count..];
    }
    rest.is_empty()
}
