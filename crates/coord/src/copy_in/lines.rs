//! Lines of the text and csv formats, cut out of bytes that come piece by piece.

use std::ops::Range;

use tidemill_repr::{SqlError, SqlState};
use tidemill_sql::plan::{CopyFormat, CopyOptions};

use super::bad_data;

/// The longest line.
const LINE_BYTES: usize = 256 << 20;

/// How lines end: the first one tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    Newline,
    Return,
    Both,
}

/// Bytes, and how far they are looked at.
pub(super) struct Lines {
    csv: bool,
    quote: u8,
    /// The escape character where it is not the quote.
    escape: Option<u8>,
    buffer: Vec<u8>,
    /// Where the line that is being looked for begins.
    start: usize,
    /// Up to where it is known not to end.
    scanned: usize,
    in_quote: bool,
    escaped: bool,
    line_end: Option<LineEnd>,
    number: u64,
    /// Newlines within quotes of the line at hand.
    inner: u64,
    /// `\.` was seen.
    ended: bool,
}

/// What is at a place of the buffer.
enum Step {
    Go(usize),
    /// The line ends before this place and the next begins at the other.
    End(usize, usize),
    /// The data ends here.
    Stop(usize),
    /// More bytes are needed to tell.
    Wait,
}

impl Lines {
    pub(super) fn new(options: &CopyOptions) -> Lines {
        let csv = options.format == CopyFormat::Csv;
        Lines {
            csv,
            quote: options.quote,
            escape: (options.escape != options.quote).then_some(options.escape),
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            in_quote: false,
            escaped: false,
            line_end: None,
            number: 0,
            inner: 0,
            ended: false,
        }
    }

    /// The number of the line that was given last.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn append(&mut self, data: &[u8]) {
        if self.ended {
            return;
        }
        self.buffer.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(data);
    }

    /// The bytes of a line.
    pub(super) fn text(&self, line: &Range<usize>) -> &[u8] {
        self.buffer.get(line.clone()).unwrap_or_default()
    }

    /// The text of a line.
    ///
    /// # Errors
    /// It is no UTF-8 (`22021`).
    pub(super) fn checked(&self, line: &Range<usize>) -> Result<&str, SqlError> {
        let bytes = self.text(line);
        let (bad, at) = match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => return Ok(text),
            Ok(_) => (&[0_u8][..], 0),
            Err(error) => (bytes, error.valid_up_to()),
        };
        let shown: Vec<String> = bad
            .get(at..)
            .unwrap_or_default()
            .iter()
            .take(character_length(bad.get(at).copied().unwrap_or_default()))
            .map(|byte| format!("0x{byte:02x}"))
            .collect();
        Err(SqlError::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
        ))
    }

    /// The next line, if it is complete; with `end` what is left is complete.
    ///
    /// # Errors
    /// Lines do not all end alike, or one is too long.
    pub(super) fn next(&mut self, end: bool) -> Result<Option<Range<usize>>, SqlError> {
        if self.ended {
            return Ok(None);
        }
        if self.scanned == self.start {
            self.number += 1;
        }
        loop {
            match self.step(end)? {
                Step::Go(to) => self.scanned = to,
                Step::End(line_end, next) => {
                    let line = self.start..line_end;
                    self.begin(next);
                    return Ok(Some(line));
                }
                Step::Stop(at) => {
                    let line = self.start..at;
                    self.ended = true;
                    if line.is_empty() {
                        self.number -= 1;
                        return Ok(None);
                    }
                    return Ok(Some(line));
                }
                Step::Wait => break,
            }
        }
        if end {
            let line = self.start..self.buffer.len();
            self.ended = true;
            if line.is_empty() {
                self.number -= 1;
                return Ok(None);
            }
            return Ok(Some(line));
        }
        if self.scanned == self.start {
            // It is counted again when there is something of it.
            self.number -= 1;
        }
        if self.buffer.len() - self.start > LINE_BYTES {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a line of COPY is longer than {LINE_BYTES} bytes"),
            ));
        }
        Ok(None)
    }

    fn begin(&mut self, next: usize) {
        self.start = next;
        self.scanned = next;
        self.in_quote = false;
        self.escaped = false;
        self.number += self.inner;
        self.inner = 0;
    }

    /// Looks at the next byte that can mean something.
    fn step(&mut self, end: bool) -> Result<Step, SqlError> {
        let mut at = self.scanned;
        let (csv, quote, escape) = (self.csv, self.quote, self.escape);
        let special = |byte: u8| {
            matches!(byte, b'\n' | b'\r' | b'\\') || csv && (byte == quote || Some(byte) == escape)
        };
        if !self.escaped {
            match self.buffer[at..].iter().position(|byte| special(*byte)) {
                Some(found) => at += found,
                None => {
                    self.scanned = self.buffer.len();
                    return Ok(Step::Wait);
                }
            }
        }
        let Some(&byte) = self.buffer.get(at) else { return Ok(Step::Wait) };
        let next = self.buffer.get(at + 1).copied();
        // These need to know what follows.
        if next.is_none() && !end && (byte == b'\\' || byte == b'\r') {
            self.scanned = at;
            return Ok(Step::Wait);
        }
        if csv {
            if self.in_quote && Some(byte) == escape {
                self.escaped = !self.escaped;
            }
            if byte == quote && !self.escaped {
                self.in_quote = !self.in_quote;
            }
            if Some(byte) != escape {
                self.escaped = false;
            }
            if self.in_quote {
                let counted = if self.line_end == Some(LineEnd::Newline) || self.line_end.is_none()
                {
                    b'\n'
                } else {
                    b'\r'
                };
                self.inner += u64::from(byte == counted);
                return Ok(Step::Go(at + 1));
            }
        }
        match byte {
            b'\n' => self.newline(at),
            b'\r' => self.carriage_return(at, next),
            b'\\' if !csv || at == self.start => self.backslash(at, end),
            _ => Ok(Step::Go(at + 1)),
        }
    }

    fn newline(&mut self, at: usize) -> Result<Step, SqlError> {
        if matches!(self.line_end, Some(LineEnd::Return | LineEnd::Both)) {
            return Err(self.literal("newline", "\\n"));
        }
        self.line_end = Some(LineEnd::Newline);
        Ok(Step::End(at, at + 1))
    }

    fn carriage_return(&mut self, at: usize, next: Option<u8>) -> Result<Step, SqlError> {
        if self.line_end == Some(LineEnd::Newline) {
            return Err(self.literal("carriage return", "\\r"));
        }
        if next == Some(b'\n') && self.line_end != Some(LineEnd::Return) {
            self.line_end = Some(LineEnd::Both);
            return Ok(Step::End(at, at + 2));
        }
        if self.line_end == Some(LineEnd::Both) {
            return Err(self.literal("carriage return", "\\r"));
        }
        self.line_end = Some(LineEnd::Return);
        Ok(Step::End(at, at + 1))
    }

    fn literal(&self, what: &str, written: &str) -> SqlError {
        if self.csv {
            let hint = format!("Use quoted CSV field to represent {what}.");
            return bad_data(format!("unquoted {what} found in data")).with_hint(hint);
        }
        bad_data(format!("literal {what} found in data"))
            .with_hint(format!("Use \"{written}\" to represent {what}."))
    }

    /// `\.` ends the data; before anything else a backslash makes the next byte mean nothing.
    fn backslash(&mut self, at: usize, end: bool) -> Result<Step, SqlError> {
        if self.buffer.get(at + 1) != Some(&b'.') {
            return Ok(Step::Go((at + if self.csv { 1 } else { 2 }).min(self.buffer.len())));
        }
        match self.buffer.get(at + 2) {
            None if !end => {
                self.scanned = at;
                Ok(Step::Wait)
            }
            None | Some(b'\n' | b'\r') => Ok(Step::Stop(at)),
            Some(_) if self.csv => Ok(Step::Go(at + 2)),
            Some(_) => Err(bad_data("end-of-copy marker corrupt")),
        }
    }
}

/// How many bytes a character has that begins with this one.
fn character_length(first: u8) -> usize {
    match first {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    fn cut(options: &CopyOptions, pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, String> {
        let mut lines = Lines::new(options);
        let mut found = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            lines.append(piece);
            let end = index + 1 == pieces.len();
            while let Some(line) = lines.next(end).map_err(|error| error.message)? {
                found.push(lines.text(&line).to_vec());
            }
        }
        Ok(found)
    }

    #[test]
    fn lines_end_as_the_first_one_does() {
        let text = CopyOptions::default();
        let lines = cut(&text, &[b"a\nb\\\nc\n\\.\nrest"]).unwrap();
        assert_eq!(lines, [&b"a"[..], b"b\\\nc"]);
        assert_eq!(cut(&text, &[b"a\r", b"\nb\r\n"]).unwrap(), [b"a", b"b"]);
        assert_eq!(cut(&text, &[b"a\rb"]).unwrap(), [b"a", b"b"]);
        assert_eq!(cut(&text, &[b"a\nb\rc"]).unwrap_err(), "literal carriage return found in data");
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(data in proptest::collection::vec(
            proptest::sample::select(&b"a,\"\\.\n\r"[..]), 0..40), at in any::<usize>(), csv: bool) {
            let format = if csv { CopyFormat::Csv } else { CopyFormat::Text };
            let options = CopyOptions { format, ..CopyOptions::default() };
            let at = at % (data.len() + 1);
            let whole = cut(&options, &[&data]);
            let parts = cut(&options, &[&data[..at], &data[at..]]);
            prop_assert_eq!(whole, parts);
        }
    }
}
