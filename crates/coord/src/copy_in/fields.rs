//! The values of a line in the text and csv formats.

use tidemill_repr::{SqlError, SqlState};
use tidemill_sql::plan::{CopyFormat, CopyOptions};

use super::bad_data;

/// The values of one line after the other; keeps its buffers.
pub(super) struct Fields {
    options: CopyOptions,
    /// All values, one after the other, without what only writes them.
    values: String,
    scratch: Vec<u8>,
    /// Where each value ends, and whether it is NULL.
    ends: Vec<(usize, bool)>,
}

impl Fields {
    pub(super) fn new(options: CopyOptions) -> Fields {
        Fields { options, values: String::new(), scratch: Vec::new(), ends: Vec::new() }
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// What stands for NULL.
    pub(super) fn null(&self) -> &str {
        &self.options.null
    }

    /// A value: None inside for NULL.
    pub(super) fn value(&self, position: usize) -> Option<Option<&str>> {
        let (end, null) = *self.ends.get(position)?;
        let start = position.checked_sub(1).and_then(|p| self.ends.get(p)).map_or(0, |end| end.0);
        if null { Some(None) } else { Some(self.values.get(start..end)) }
    }

    /// Splits a line.
    ///
    /// # Errors
    /// A quote is not closed (`22P04`), or escapes make no UTF-8 (`22021`).
    pub(super) fn split(&mut self, line: &str) -> Result<(), SqlError> {
        self.ends.clear();
        self.scratch.clear();
        if self.options.format == CopyFormat::Csv {
            self.split_csv(line.as_bytes())?;
        } else {
            self.split_text(line.as_bytes());
        }
        let bytes = std::mem::take(&mut self.values).into_bytes();
        let done = std::mem::replace(&mut self.scratch, bytes);
        self.values = String::from_utf8(done).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let shown = error.as_bytes().get(at).copied().unwrap_or_default();
            SqlError::new(
                SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                format!("invalid byte sequence for encoding \"UTF8\": 0x{shown:02x}"),
            )
        })?;
        Ok(())
    }

    fn split_text(&mut self, line: &[u8]) {
        let mut rest = line;
        loop {
            let mut start = self.scratch.len();
            let raw = rest;
            let mut used = 0;
            let more = loop {
                let Some(&byte) = raw.get(used) else { break false };
                if byte == self.options.delimiter {
                    break true;
                }
                used += 1;
                if byte == b'\\' {
                    used += unescape(&raw[used..], &mut self.scratch);
                } else {
                    self.scratch.push(byte);
                }
            };
            let null = &raw[..used] == self.options.null.as_bytes();
            if null {
                self.scratch.truncate(start);
            }
            start = self.scratch.len();
            self.ends.push((start, null));
            if !more {
                return;
            }
            rest = &raw[used + 1..];
        }
    }

    fn split_csv(&mut self, line: &[u8]) -> Result<(), SqlError> {
        let CopyOptions { delimiter, quote, escape, .. } = self.options;
        let mut at = 0;
        loop {
            let start = self.scratch.len();
            let mut saw_quote = false;
            let mut in_quote = false;
            let more = loop {
                let Some(&byte) = line.get(at) else { break false };
                at += 1;
                if !in_quote {
                    if byte == delimiter {
                        break true;
                    }
                    if byte == quote {
                        saw_quote = true;
                        in_quote = true;
                        continue;
                    }
                } else {
                    let next = line.get(at).copied();
                    if byte == escape && next.is_some_and(|next| next == escape || next == quote) {
                        self.scratch.extend(next);
                        at += 1;
                        continue;
                    }
                    if byte == quote {
                        in_quote = false;
                        continue;
                    }
                }
                self.scratch.push(byte);
            };
            if in_quote {
                return Err(bad_data("unterminated CSV quoted field"));
            }
            let position = self.ends.len();
            let flag = |flags: &[bool]| flags.get(position).copied().unwrap_or(false);
            let is_null_text = &self.scratch[start..] == self.options.null.as_bytes();
            let null = is_null_text
                && if saw_quote {
                    flag(&self.options.force_null)
                } else {
                    !flag(&self.options.force_not_null)
                };
            if null {
                self.scratch.truncate(start);
            }
            self.ends.push((self.scratch.len(), null));
            if !more {
                return Ok(());
            }
        }
    }
}

/// Reads what follows a backslash; gives how many bytes that was.
fn unescape(rest: &[u8], out: &mut Vec<u8>) -> usize {
    let Some(&first) = rest.first() else {
        // A backslash at the end is itself.
        out.push(b'\\');
        return 0;
    };
    let digits = |radix: u32, from: usize, most: usize| {
        let mut value = 0_u32;
        let mut count = 0;
        while let Some(digit) = rest
            .get(from + count)
            .filter(|_| count < most)
            .and_then(|byte| char::from(*byte).to_digit(radix))
        {
            value = value * radix + digit;
            count += 1;
        }
        // PostgreSQL keeps the low eight bits.
        ((value & 0xff) as u8, count)
    };
    let byte = match first {
        b'0'..=b'7' => {
            let (value, count) = digits(8, 0, 3);
            out.push(value);
            return count;
        }
        b'x' => {
            let (value, count) = digits(16, 1, 2);
            if count > 0 {
                out.push(value);
                return count + 1;
            }
            b'x'
        }
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        other => other,
    };
    out.push(byte);
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(options: CopyOptions, line: &str) -> Vec<Option<String>> {
        let mut fields = Fields::new(options);
        fields.split(line).unwrap();
        (0..fields.len()).map(|n| fields.value(n).unwrap().map(str::to_owned)).collect()
    }

    #[test]
    fn text_has_escapes_and_nulls() {
        let found = split(CopyOptions::default(), "a\\tb\t\\N\t\\\\N\t\\101\\x42\\q\t");
        let expected = [Some("a\tb"), None, Some("\\N"), Some("ABq"), Some("")];
        assert_eq!(found, expected.map(|value| value.map(str::to_owned)));
    }

    #[test]
    fn csv_has_quotes_and_nulls() {
        let csv = CopyOptions {
            format: CopyFormat::Csv,
            delimiter: b',',
            null: String::new(),
            ..CopyOptions::default()
        };
        let found = split(csv.clone(), "a,,\"\",\"x\"\"y,\"z");
        let expected = [Some("a"), None, Some(""), Some("x\"y,z")];
        assert_eq!(found, expected.map(|value| value.map(str::to_owned)));
        let error = Fields::new(csv).split("\"x").unwrap_err();
        assert_eq!(error.message, "unterminated CSV quoted field");
    }
}
