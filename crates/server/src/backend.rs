//! Messages to clients, appended to a buffer.

use tidemill_coord::{Notice, TransactionStatus};
use tidemill_repr::{RelationDesc, ScalarType, SqlError};

use crate::values::ColumnFormat;

/// Appends a message of a type with what `fill` appends as its body.
pub fn message(out: &mut Vec<u8>, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    with_length(out, true, fill);
}

/// Appends what `fill` appends after its length in four bytes, which count themselves or not.
pub(crate) fn with_length(out: &mut Vec<u8>, inclusive: bool, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    fill(out);
    let length = out.len() - start - if inclusive { 0 } else { 4 };
    // Values are bounded by the longest message; longer ones could not be sent at all.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn string(out: &mut Vec<u8>, text: &str) {
    // A NUL would end the text early.
    out.extend(text.bytes().filter(|byte| *byte != 0));
    out.push(0);
}

fn count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes());
}

fn format_code(out: &mut Vec<u8>, binary: bool) {
    out.extend_from_slice(&u16::from(binary).to_be_bytes());
}

/// How bad an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The statement fails.
    Error,
    /// The connection ends.
    Fatal,
}

/// An error, as clients get it: the one place where [`SqlError`] becomes bytes.
pub fn error_response(out: &mut Vec<u8>, severity: Severity, error: &SqlError) {
    let severity = match severity {
        Severity::Error => "ERROR",
        Severity::Fatal => "FATAL",
    };
    message(out, b'E', |out| fields(out, severity, error));
}

/// A notice or warning.
pub fn notice_response(out: &mut Vec<u8>, notice: &Notice) {
    message(out, b'N', |out| fields(out, notice.severity, &notice.message));
}

fn fields(out: &mut Vec<u8>, severity: &str, error: &SqlError) {
    let position = error.position.map(|position| position.to_string());
    let about = error.about.as_deref();
    let fields = [
        (b'S', Some(severity)),
        (b'V', Some(severity)),
        (b'C', Some(error.code.0)),
        (b'M', Some(error.message.as_str())),
        (b'D', error.detail.as_deref()),
        (b'H', error.hint.as_deref()),
        (b'P', position.as_deref()),
        (b'W', error.context.as_deref()),
        (b's', about.and_then(|about| about.schema.as_deref())),
        (b't', about.and_then(|about| about.table.as_deref())),
        (b'c', about.and_then(|about| about.column.as_deref())),
        (b'n', about.and_then(|about| about.constraint.as_deref())),
    ];
    for (kind, text) in fields {
        if let Some(text) = text {
            out.push(kind);
            string(out, text);
        }
    }
    out.push(0);
}

/// Nobody is asked for a password.
pub fn authentication_ok(out: &mut Vec<u8>) {
    message(out, b'R', |out| out.extend_from_slice(&[0; 4]));
}

/// The client is asked to authenticate by a mechanism of SASL.
pub fn authentication_sasl(out: &mut Vec<u8>, mechanism: &str) {
    message(out, b'R', |out| {
        out.extend_from_slice(&10_i32.to_be_bytes());
        string(out, mechanism);
        out.push(0);
    });
}

/// A step of it: 11 goes on, 12 is the last.
pub fn authentication_step(out: &mut Vec<u8>, step: i32, data: &[u8]) {
    message(out, b'R', |out| {
        out.extend_from_slice(&step.to_be_bytes());
        out.extend_from_slice(data);
    });
}

/// A setting's value.
pub fn parameter_status(out: &mut Vec<u8>, name: &str, value: &str) {
    message(out, b'S', |out| {
        string(out, name);
        string(out, value);
    });
}

/// What cancel requests must show.
pub fn backend_key_data(out: &mut Vec<u8>, session: i32, key: &[u8]) {
    message(out, b'K', |out| {
        out.extend_from_slice(&session.to_be_bytes());
        out.extend_from_slice(key);
    });
}

/// This minor version of protocol 3 will be spoken, and these options are not known.
pub fn negotiate_protocol_version(out: &mut Vec<u8>, minor: u16, unknown: &[&str]) {
    message(out, b'v', |out| {
        out.extend_from_slice(&((3_u32 << 16) | u32::from(minor)).to_be_bytes());
        out.extend_from_slice(&u32::try_from(unknown.len()).unwrap_or(0).to_be_bytes());
        unknown.iter().for_each(|option| string(out, option));
    });
}

/// The server waits for the next packet.
pub fn ready_for_query(out: &mut Vec<u8>, status: TransactionStatus) {
    let status = match status {
        TransactionStatus::Idle => b'I',
        TransactionStatus::InTransaction => b'T',
        TransactionStatus::Failed => b'E',
    };
    message(out, b'Z', |out| out.push(status));
}

/// The columns that rows will have. Formats may be fewer than columns: the rest is text.
pub fn row_description(out: &mut Vec<u8>, desc: &RelationDesc, formats: &[ColumnFormat]) {
    message(out, b'T', |out| {
        count(out, desc.arity());
        for (position, column) in desc.columns.iter().enumerate() {
            let typ = &column.typ.scalar_type;
            string(out, &column.name);
            let origin = desc.origins.get(position).copied().flatten();
            let (relation, number) = origin.map_or((0, 0), |o| (o.relation.0, o.column));
            out.extend_from_slice(&relation.to_be_bytes());
            out.extend_from_slice(&number.to_be_bytes());
            out.extend_from_slice(&typ.base().oid().0.to_be_bytes());
            out.extend_from_slice(&typ.type_length().to_be_bytes());
            out.extend_from_slice(&column.typ.typmod.to_be_bytes());
            format_code(out, formats.get(position).is_some_and(|format| format.binary));
        }
    });
}

/// The types of a statement's parameters.
pub fn parameter_description(out: &mut Vec<u8>, types: &[ScalarType]) {
    message(out, b't', |out| {
        count(out, types.len());
        types.iter().for_each(|typ| out.extend_from_slice(&typ.base().oid().0.to_be_bytes()));
    });
}

/// A statement is done.
pub fn command_complete(out: &mut Vec<u8>, tag: &str) {
    message(out, b'C', |out| string(out, tag));
}

/// COPY data follows.
pub fn copy_out_response(out: &mut Vec<u8>, columns: usize, binary: bool) {
    message(out, b'H', |out| {
        out.push(u8::from(binary));
        count(out, columns);
        (0..columns).for_each(|_| format_code(out, binary));
    });
}

/// COPY data is awaited.
pub fn copy_in_response(out: &mut Vec<u8>, columns: usize, binary: bool) {
    message(out, b'G', |out| {
        out.push(u8::from(binary));
        count(out, columns);
        (0..columns).for_each(|_| format_code(out, binary));
    });
}

/// A message without content: `1` ParseComplete, `2` BindComplete, `3` CloseComplete, `c`
/// CopyDone, `I` EmptyQueryResponse, `n` NoData, `s` PortalSuspended.
pub fn empty(out: &mut Vec<u8>, kind: u8) {
    message(out, kind, |_| {});
}

#[cfg(test)]
mod tests {
    use tidemill_repr::SqlState;

    use super::*;

    #[test]
    fn errors_carry_all_their_fields_and_no_nul() {
        let error = SqlError::new(SqlState::SYNTAX_ERROR, "a\0b").with_hint("help").at(7);
        let mut out = Vec::new();
        error_response(&mut out, Severity::Error, &error);
        assert_eq!(out, b"E\0\0\0\x27SERROR\0VERROR\0C42601\0Mab\0Hhelp\0P7\0\0");
    }

    #[test]
    fn lengths_count_themselves() {
        let mut out = Vec::new();
        command_complete(&mut out, "SELECT 1");
        empty(&mut out, b'1');
        assert_eq!(out, b"C\0\0\0\x0dSELECT 1\x001\0\0\0\x04");
    }
}
