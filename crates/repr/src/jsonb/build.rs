//! Building jsonb values from left to right.

use std::cmp::Ordering;

use super::{ARRAY, FALSE, JsonbRef, NULL, NUMBER, OBJECT, STRING, TRUE, key_order};
use crate::numeric::{Numeric, push_encoded};

/// Bytes before the content of an array or object.
const HEADER: usize = 9;

/// Builds one value. Keys may come in any order; of equal ones the last stays.
#[derive(Clone, Debug, Default)]
pub struct JsonbBuilder {
    buffer: Vec<u8>,
    open: Vec<Open>,
}

/// An array or object that is not ended.
#[derive(Clone, Debug)]
struct Open {
    start: usize,
    count: u32,
    /// Where each member of an object starts.
    members: Vec<usize>,
    /// Whether keys came in order so far.
    sorted: bool,
}

impl JsonbBuilder {
    /// A builder of nothing yet.
    pub fn new() -> JsonbBuilder {
        JsonbBuilder::default()
    }

    fn count(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.count += 1;
        }
    }

    /// Appends `null`.
    pub fn null(&mut self) {
        self.count();
        self.buffer.push(NULL);
    }

    /// Appends a boolean.
    pub fn bool(&mut self, value: bool) {
        self.count();
        self.buffer.push(if value { TRUE } else { FALSE });
    }

    /// Appends a number; NaN and infinities, which JSON has not, become strings.
    pub fn number(&mut self, value: &Numeric) {
        if !value.is_finite() {
            return self.string(&value.to_string());
        }
        self.count();
        self.buffer.push(NUMBER);
        push_encoded(&mut self.buffer, value);
    }

    /// Appends a string.
    pub fn string(&mut self, text: &str) {
        self.count();
        self.buffer.push(STRING);
        self.block(text.as_bytes());
    }

    /// Appends a whole value.
    pub fn value(&mut self, value: JsonbRef<'_>) {
        self.count();
        self.buffer.extend_from_slice(value.bytes());
    }

    fn block(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        self.buffer.extend_from_slice(bytes);
    }

    fn begin(&mut self, tag: u8) {
        self.count();
        let start = self.buffer.len();
        self.open.push(Open { start, count: 0, members: Vec::new(), sorted: true });
        self.buffer.push(tag);
        self.buffer.extend_from_slice(&[0; HEADER - 1]);
    }

    /// Starts an array.
    pub fn begin_array(&mut self) {
        self.begin(ARRAY);
    }

    /// Starts an object: then come a key and a value for each member.
    pub fn begin_object(&mut self) {
        self.begin(OBJECT);
    }

    /// Appends a member's key, before its value.
    pub fn key(&mut self, key: &str) {
        let at = self.buffer.len();
        if let Some(open) = self.open.last_mut() {
            if let Some(last) = open.members.last() {
                open.sorted &= key_order(key_at(&self.buffer, *last), key) == Ordering::Less;
            }
            open.members.push(at);
        }
        self.block(key.as_bytes());
    }

    /// Ends the array.
    pub fn end_array(&mut self) {
        if let Some(open) = self.open.pop() {
            self.fill_header(open.start, open.count);
        }
    }

    /// Ends the object.
    pub fn end_object(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let count = if open.sorted { open.count } else { self.sort_members(&open) };
        self.fill_header(open.start, count);
    }

    fn fill_header(&mut self, start: usize, count: u32) {
        let length = (self.buffer.len() - start - HEADER) as u32;
        self.buffer[start + 1..start + 5].copy_from_slice(&count.to_be_bytes());
        self.buffer[start + 5..start + HEADER].copy_from_slice(&length.to_be_bytes());
    }

    /// Puts members in order and drops all but the last of equal keys; gives how many stay.
    fn sort_members(&mut self, open: &Open) -> u32 {
        let first = open.start + HEADER;
        let content = self.buffer.split_off(first);
        let ends = open.members.iter().skip(1).copied().chain([first + content.len()]);
        let mut members: Vec<(usize, usize)> = open
            .members
            .iter()
            .zip(ends)
            .map(|(start, end)| (start - first, end - first))
            .collect();
        // Stable, so that the last of equal keys is the last of its group.
        members.sort_by(|a, b| key_order(key_at(&content, a.0), key_at(&content, b.0)));
        let mut count = 0;
        for (at, (start, end)) in members.iter().enumerate() {
            let key = key_at(&content, *start);
            let again = members.get(at + 1).is_some_and(|next| key_at(&content, next.0) == key);
            if !again {
                self.buffer.extend_from_slice(&content[*start..*end]);
                count += 1;
            }
        }
        count
    }

    /// What was built; `null` if nothing was.
    pub fn finish(mut self) -> Vec<u8> {
        if self.buffer.is_empty() {
            self.buffer.push(NULL);
        }
        self.buffer
    }
}

/// The key of a member that starts here.
fn key_at(buffer: &[u8], start: usize) -> &str {
    let mut rest = buffer.get(start..).unwrap_or_default();
    super::take_block(&mut rest).and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default()
}
