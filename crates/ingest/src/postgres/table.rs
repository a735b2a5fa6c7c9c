//! Tuples of a table upstream to row bytes here, and what makes a table's form not fit any more.

use tidemill_repr::text::TextSettings;
use tidemill_repr::{
    ColumnType, Datum, RowBatch, RowBuilder, RowRef, ScalarType, SqlError, SqlState, binary, text,
};

use super::describe::{TypeKind, UpstreamColumn, replica_identity_hint};
use super::pgoutput::{OldTuple, Relation, Tuple, TupleValue};
use super::source::TableConfig;

/// Turns one column's values into row bytes.
#[derive(Clone, Debug)]
pub(crate) struct ColumnDecoder {
    name: String,
    typ: ColumnType,
    as_text: bool,
    /// What the binary form is, when it is not that of `typ`.
    source: BinaryForm,
}

/// What the binary form of a column's upstream type is.
#[derive(Clone, Debug)]
enum BinaryForm {
    /// That of the column's type here.
    Native,
    /// That of another type we know; the value is carried as its text.
    Other(ColumnType),
    /// The same bytes as the text form (`json`, enums, strings).
    Text,
    /// Not known: such a column must be asked for as text.
    Unknown,
}

impl ColumnDecoder {
    pub(crate) fn new(upstream: &UpstreamColumn, typ: &ColumnType, as_text: bool) -> ColumnDecoder {
        const TEXT_LIKE: [u32; 6] = [19, 25, 114, 142, 1042, 1043];
        let source = if TEXT_LIKE.contains(&upstream.base_type_oid.0)
            || upstream.type_kind == TypeKind::Enum
        {
            BinaryForm::Text
        } else if upstream.base_type_oid == typ.scalar_type.oid() {
            BinaryForm::Native
        } else {
            match upstream.column_type() {
                Some(native) if as_text => BinaryForm::Other(native),
                _ => BinaryForm::Unknown,
            }
        };
        ColumnDecoder { name: upstream.name.clone(), typ: typ.clone(), as_text, source }
    }

    /// Whether this column can be read in binary.
    pub(crate) fn takes_binary(&self) -> bool {
        !matches!(self.source, BinaryForm::Unknown)
    }

    /// Whether COPY must read the column's text.
    pub(crate) fn copies_text(&self) -> bool {
        self.as_text || !self.takes_binary()
    }

    /// Appends NULL.
    pub(crate) fn null(&self, row: &mut RowBuilder) -> Result<(), SqlError> {
        if !self.typ.nullable {
            let message = format!("column \"{}\" is NULL but was declared NOT NULL", self.name);
            return Err(SqlError::new(SqlState::NOT_NULL_VIOLATION, message)
                .with_detail("Its NOT NULL was dropped on the upstream database."));
        }
        row.push(Datum::Null);
        Ok(())
    }

    /// Appends a value in its text form.
    pub(crate) fn text(&self, bytes: &[u8], row: &mut RowBuilder) -> Result<(), SqlError> {
        let text = std::str::from_utf8(bytes).map_err(|_| {
            let message =
                format!("invalid byte sequence for encoding \"UTF8\" in column \"{}\"", self.name);
            SqlError::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message)
        })?;
        // Strings without a limit are themselves.
        let unlimited = match self.typ.scalar_type {
            ScalarType::Text => true,
            ScalarType::Varchar => self.typ.typmod < 4,
            _ => false,
        };
        if self.as_text || unlimited {
            row.push(Datum::Text(text));
            return Ok(());
        }
        text::parse_into(&self.typ, text, &TextSettings::default(), row)
            .map_err(|error| self.not_carried(error))
    }

    /// Appends a value in its binary form.
    pub(crate) fn binary(&self, bytes: &[u8], row: &mut RowBuilder) -> Result<(), SqlError> {
        match &self.source {
            BinaryForm::Native => {
                binary::decode_into(&self.typ, bytes, row).map_err(|error| self.not_carried(error))
            }
            BinaryForm::Text => self.text(bytes, row),
            BinaryForm::Other(native) => {
                let mut value = RowBuilder::new();
                binary::decode_into(native, bytes, &mut value)
                    .map_err(|error| self.not_carried(error))?;
                let mut out = String::new();
                if let Some(datum) = value.as_ref().iter().next() {
                    let typ = &native.scalar_type;
                    text::format_into(&datum, typ, &TextSettings::default(), &mut out);
                }
                row.push(Datum::Text(&out));
                Ok(())
            }
            BinaryForm::Unknown => {
                let what = format!("the binary form of column \"{}\"", self.name);
                Err(SqlError::unsupported(what))
            }
        }
    }

    fn not_carried(&self, error: SqlError) -> SqlError {
        let detail = format!("A value of column \"{}\" cannot be represented.", self.name);
        let hint = "Carry the column as text (TEXT COLUMNS), or leave it out (EXCLUDE COLUMNS).";
        error.with_detail(detail).with_hint(hint)
    }
}

/// The decoders of a table's columns, in the order of the rows here.
///
/// # Errors
/// A column is not among the upstream's columns.
pub(crate) fn column_decoders(table: &TableConfig) -> Result<Vec<ColumnDecoder>, SqlError> {
    table
        .columns
        .iter()
        .map(|column| {
            let upstream = upstream_column(table, column.attnum)?;
            Ok(ColumnDecoder::new(upstream, &column.typ, column.as_text))
        })
        .collect()
}

pub(crate) fn upstream_column(
    table: &TableConfig,
    attnum: i16,
) -> Result<&UpstreamColumn, SqlError> {
    table
        .upstream
        .columns
        .iter()
        .find(|column| column.attnum == attnum)
        .ok_or_else(|| SqlError::internal(format!("column number {attnum} of a source table")))
}

/// A table bound to the form in which the stream sends it.
#[derive(Debug)]
pub(crate) struct TableBinding {
    /// For each column here: its decoder, and its place in tuples.
    columns: Vec<(ColumnDecoder, usize)>,
    /// How many columns tuples have.
    width: usize,
    row: RowBuilder,
    old_row: RowBuilder,
}

fn table_error(table: &TableConfig, what: &str) -> SqlError {
    let message = format!("table {} cannot be followed: {what}", table.upstream.sql_name());
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
}

/// The error of a table that was truncated upstream.
pub(crate) fn truncated(table: &TableConfig) -> SqlError {
    table_error(table, "it was truncated upstream")
        .with_hint("Drop the table here and create it again.")
}

impl TableBinding {
    /// Holds what the stream says of a table against what it was when it was created.
    ///
    /// # Errors
    /// A column is gone or has another type, the table has another name, or its old rows do not
    /// come whole. Columns that were added do no harm.
    pub(crate) fn new(table: &TableConfig, relation: &Relation) -> Result<TableBinding, SqlError> {
        let again = "Drop the table here and create it again.";
        if relation.name != table.upstream.name || relation.schema != table.upstream.schema {
            let what =
                format!("it is now called \"{}.{}\" upstream", relation.schema, relation.name);
            return Err(table_error(table, &what).with_hint(again));
        }
        if relation.replica_identity != b'f' {
            return Err(table_error(table, "it no longer has REPLICA IDENTITY FULL").with_hint(
                format!("{} Then: {again}", replica_identity_hint(&table.upstream.sql_name())),
            ));
        }
        let mut columns = Vec::with_capacity(table.columns.len());
        for column in &table.columns {
            let upstream = upstream_column(table, column.attnum)?;
            let place = relation.columns.iter().position(|c| c.name == upstream.name);
            let Some(place) = place else {
                let what = format!("column \"{}\" was dropped or renamed upstream", upstream.name);
                return Err(table_error(table, &what).with_hint(again));
            };
            let now = &relation.columns[place];
            if now.type_oid != upstream.type_oid || now.typmod != upstream.typmod {
                let what = format!("the type of column \"{}\" was changed upstream", upstream.name);
                return Err(table_error(table, &what)
                    .with_detail(format!("It was {}.", upstream.type_name))
                    .with_hint(again));
            }
            columns.push((ColumnDecoder::new(upstream, &column.typ, column.as_text), place));
        }
        Ok(TableBinding {
            columns,
            width: relation.columns.len(),
            row: RowBuilder::new(),
            old_row: RowBuilder::new(),
        })
    }

    /// A row is there.
    pub(crate) fn insert(&mut self, new: &Tuple<'_>, out: &mut RowBatch) -> Result<(), SqlError> {
        decode(&self.columns, self.width, new, None, &mut self.row)?;
        out.push(self.row.as_ref(), 1);
        Ok(())
    }

    /// A row is gone.
    pub(crate) fn delete(
        &mut self,
        old: &OldTuple<'_>,
        out: &mut RowBatch,
    ) -> Result<(), SqlError> {
        let old = full(old)?;
        decode(&self.columns, self.width, old, None, &mut self.row)?;
        out.push(self.row.as_ref(), -1);
        Ok(())
    }

    /// A row is another.
    pub(crate) fn update(
        &mut self,
        old: Option<&OldTuple<'_>>,
        new: &Tuple<'_>,
        out: &mut RowBatch,
    ) -> Result<(), SqlError> {
        let old = full(old.ok_or_else(old_row_missing)?)?;
        decode(&self.columns, self.width, old, None, &mut self.old_row)?;
        decode(&self.columns, self.width, new, Some(self.old_row.as_ref()), &mut self.row)?;
        if self.row.bytes() != self.old_row.bytes() {
            out.push(self.old_row.as_ref(), -1);
            out.push(self.row.as_ref(), 1);
        }
        Ok(())
    }
}

fn old_row_missing() -> SqlError {
    SqlError::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        "the upstream sent a change without the whole old row",
    )
    .with_hint("Give the table REPLICA IDENTITY FULL on the upstream database.")
}

fn full<'a, 'b>(old: &'b OldTuple<'a>) -> Result<&'b Tuple<'a>, SqlError> {
    match old {
        OldTuple::Full(tuple) => Ok(tuple),
        OldTuple::Key(_) => Err(old_row_missing()),
    }
}

/// One tuple to a row in `row`. Values that did not change are taken from `old`.
fn decode(
    columns: &[(ColumnDecoder, usize)],
    width: usize,
    tuple: &Tuple<'_>,
    old: Option<RowRef<'_>>,
    row: &mut RowBuilder,
) -> Result<(), SqlError> {
    if tuple.len() != width {
        return Err(SqlError::internal("a tuple has not the columns of its table"));
    }
    row.clear();
    // Mostly all columns are carried, in order: one walk over the tuple.
    let mut values = tuple.iter();
    let mut next = 0;
    let mut old = old.map(|row| row.iter());
    for (decoder, place) in columns {
        let old_bytes = old.as_mut().and_then(tidemill_repr::row::DatumIter::next_bytes);
        if *place < next {
            values = tuple.iter();
            next = 0;
        }
        let value = values.nth(place - next);
        next = place + 1;
        match value.ok_or_else(|| SqlError::internal("a tuple ends too early"))? {
            TupleValue::Null => decoder.null(row)?,
            TupleValue::Text(bytes) => decoder.text(bytes, row)?,
            TupleValue::Binary(bytes) => decoder.binary(bytes, row)?,
            TupleValue::Unchanged => row.push_encoded(old_bytes.ok_or_else(old_row_missing)?),
        }
    }
    Ok(())
}
