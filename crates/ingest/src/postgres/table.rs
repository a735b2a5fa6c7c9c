//! Tuples of a table upstream to row bytes here, and what makes a table's form not fit any more.

use std::ops::RangeInclusive;

use tidemill_repr::text::TextSettings;
use tidemill_repr::{
    ColumnType, Datum, Oid, Row, RowBatch, RowBuilder, RowRef, ScalarType, SqlError, SqlState,
    binary, text,
};

use super::describe::{TypeKind, UpstreamColumn, replica_identity_hint};
use super::keyed::KeyedContent;
use super::pgoutput::{Message, OldTuple, Relation, RelationColumn, Tuple, TupleValue};
use super::source::{IngestColumn, TableConfig};

/// Turns one column's values into row bytes.
#[derive(Clone, Debug)]
pub(crate) struct ColumnDecoder {
    name: String,
    /// The type of the values that come.
    typ: ColumnType,
    as_text: bool,
    /// What the binary form is, when it is not that of `typ`.
    source: BinaryForm,
    /// The values that the column here can hold, if the upstream's holds more by now.
    range: Option<RangeInclusive<i64>>,
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
    /// That of the column's type here, an array, but for the oid of the elements' type.
    Elements,
    /// Not known: such a column must be asked for as text.
    Unknown,
}

impl ColumnDecoder {
    pub(crate) fn new(upstream: &UpstreamColumn, typ: &ColumnType, as_text: bool) -> ColumnDecoder {
        const TEXT_LIKE: [u32; 6] = [19, 25, 114, 142, 1042, 1043];
        let source = if TEXT_LIKE.contains(&upstream.base_type_oid.0)
            || upstream.type_kind == TypeKind::Enum && upstream.element_oid.is_none()
        {
            BinaryForm::Text
        } else if upstream.element_oid.is_some() {
            match typ.scalar_type {
                ScalarType::Array(_) => BinaryForm::Elements,
                _ => BinaryForm::Unknown,
            }
        } else if upstream.base_type_oid == typ.scalar_type.oid() {
            BinaryForm::Native
        } else {
            match upstream.column_type() {
                Some(native) if as_text => BinaryForm::Other(native),
                _ => BinaryForm::Unknown,
            }
        };
        ColumnDecoder {
            name: upstream.name.clone(),
            typ: typ.clone(),
            as_text,
            source,
            range: None,
        }
    }

    /// The decoder of a column whose values are of a type that holds more than the column here.
    fn widened(now: &UpstreamColumn, typ: &ColumnType) -> ColumnDecoder {
        let wide = ScalarType::from_oid(now.base_type_oid);
        let wide = wide.map_or_else(|| typ.clone(), ColumnType::new).nullable(typ.nullable);
        let range = match typ.scalar_type {
            ScalarType::Int2 => Some(i64::from(i16::MIN)..=i64::from(i16::MAX)),
            ScalarType::Int4 => Some(i64::from(i32::MIN)..=i64::from(i32::MAX)),
            _ => None,
        };
        ColumnDecoder { range, ..ColumnDecoder::new(now, &wide, false) }
    }

    /// Holds the value that was appended last against what the column here can hold.
    fn check_range(&self, row: &RowBuilder, start: usize) -> Result<(), SqlError> {
        let Some(range) = &self.range else { return Ok(()) };
        let value = row.bytes().get(start..).map(RowRef::from_bytes);
        match value.and_then(|value| value.iter().next()) {
            Some(Datum::Int(value)) if !range.contains(&value) => {
                let message = format!("value {value} of column \"{}\" is out of range", self.name);
                Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
                    .with_detail("The column has a wider type upstream than here.")
                    .with_hint("Drop the table here and create it again with the new type."))
            }
            _ => Ok(()),
        }
    }

    /// Whether a value is a label that the column's enum does not have.
    fn is_unknown_label(&self, value: &TupleValue<'_>) -> bool {
        let ScalarType::Enum(definition) = &self.typ.scalar_type else {
            let mut scratch = RowBuilder::new();
            return match value {
                TupleValue::Text(bytes) => self.text(bytes, &mut scratch).is_err(),
                TupleValue::Binary(bytes) => self.binary(bytes, &mut scratch).is_err(),
                _ => false,
            };
        };
        match value {
            TupleValue::Text(bytes) | TupleValue::Binary(bytes) => {
                std::str::from_utf8(bytes).is_ok_and(|label| definition.order_of(label).is_none())
            }
            _ => false,
        }
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
                .with_detail("Its NOT NULL was dropped on the upstream database.")
                .with_hint(
                    "Put the value and NOT NULL back on the upstream database, then run ALTER \
                     TABLE .. RESYNC for the table here.",
                ));
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
        let start = row.bytes().len();
        text::parse_into(&self.typ, text, &TextSettings::default(), row)
            .map_err(|error| self.not_carried(error))?;
        self.check_range(row, start)
    }

    /// Appends a value in its binary form.
    pub(crate) fn binary(&self, bytes: &[u8], row: &mut RowBuilder) -> Result<(), SqlError> {
        match &self.source {
            BinaryForm::Native => {
                let start = row.bytes().len();
                binary::decode_into(&self.typ, bytes, row)
                    .map_err(|error| self.not_carried(error))?;
                self.check_range(row, start)
            }
            BinaryForm::Text => self.text(bytes, row),
            BinaryForm::Elements => {
                let mut known = bytes.to_vec();
                // Dimensions and flags come before the oid.
                if let (Some(oid), ScalarType::Array(element)) =
                    (known.get_mut(8..12), &self.typ.scalar_type)
                {
                    oid.copy_from_slice(&element.oid().0.to_be_bytes());
                }
                binary::decode_into(&self.typ, &known, row).map_err(|error| self.not_carried(error))
            }
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
        .map(|column| Ok(column_decoder(column, upstream_column(table, column.attnum)?)))
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
    /// Columns that are not carried: their numbers, and their places in tuples.
    beside: Vec<(i16, usize)>,
    /// Whether the stream's form has each column of the catalog, and no other.
    is_current: bool,
    old_rows: OldRows,
    row: RowBuilder,
    old_row: RowBuilder,
}

/// How the row that an update or delete takes away is found.
#[derive(Debug)]
enum OldRows {
    /// The stream tells it.
    Told,
    /// By its key, in the table's own content: these columns here.
    ByKey(Vec<usize>),
    /// There are no updates and deletes.
    Never,
}

/// A column as the upstream's catalog has it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) attnum: i16,
    pub(crate) name: String,
    pub(crate) type_oid: u32,
    pub(crate) typmod: i32,
}

/// What helps against most errors of tables.
pub(crate) const RESYNC_HINT: &str = "Run ALTER TABLE .. RESYNC for the table here: it takes a new \
                                      snapshot and applies the differences.";

pub(crate) fn table_error(table: &TableConfig, what: &str) -> SqlError {
    let message = format!("table {} cannot be followed: {what}", table.upstream.sql_name());
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message).with_hint(RESYNC_HINT)
}

/// The numbers of the columns in the stream's form of a table, if the catalog's form is the same.
fn numbers(relation: &Relation, catalog: &[Attribute]) -> Option<Vec<i16>> {
    let mut attributes = catalog.iter();
    let same = |column: &RelationColumn, attribute: &Attribute| {
        attribute.name == column.name
            && attribute.type_oid == column.type_oid.0
            && attribute.typmod == column.typmod
    };
    let columns = relation.columns.iter();
    columns
        .map(|column| attributes.find(|attribute| same(column, attribute)).map(|a| a.attnum))
        .collect()
}

/// The numbers by place: as long as the upstream has all columns that it ever had up to the last
/// that is carried, and publishes them, the stream's columns are these, whatever their names were.
/// Numbers of columns behind them are not known: they are 0.
fn numbers_by_place(
    table: &TableConfig,
    relation: &Relation,
    catalog: &[Attribute],
) -> Option<Vec<i16>> {
    let last = table.columns.iter().map(|column| column.attnum).max()?;
    let published =
        |attnum: i16| table.upstream.columns.iter().any(|c| c.attnum == attnum && c.published);
    let complete = (1..=last).all(|attnum| {
        published(attnum) && catalog.iter().any(|attribute| attribute.attnum == attnum)
    });
    let places = (1..).zip(&relation.columns);
    let numbers: Vec<i16> = places.map(|(n, _)| if n <= last { n } else { 0 }).collect();
    (complete && numbers.len() >= usize::try_from(last).ok()?).then_some(numbers)
}

/// The numbers of the stream's columns. The catalog may be ahead of the stream: then places must
/// do, or at last the names that the columns had at first.
fn column_numbers(
    table: &TableConfig,
    relation: &Relation,
    catalog: &[Attribute],
) -> Result<Vec<i16>, SqlError> {
    match (numbers(relation, catalog), numbers_by_place(table, relation, catalog)) {
        (Some(named), Some(placed)) => {
            if named.iter().zip(&placed).all(|(named, placed)| *placed == 0 || named == placed) {
                return Ok(named);
            }
            Err(table_error(table, "its columns were renamed or are published otherwise"))
        }
        (Some(numbers), None) | (None, Some(numbers)) => Ok(numbers),
        (None, None) => {
            let by_name = |column: &RelationColumn| table.upstream.column(&column.name);
            let columns = relation.columns.iter();
            Ok(columns.map(|c| by_name(c).map_or(0, |found| found.attnum)).collect())
        }
    }
}

impl TableBinding {
    /// Holds what the stream says of a table against what it was when it was created. A column is
    /// its number, which the stream does not tell: `catalog` has the columns as they are now.
    ///
    /// # Errors
    /// A column is gone or has a type whose values do not fit, or old rows cannot be found. New
    /// names, columns that were added, and wider types do no harm.
    pub(crate) fn new(
        table: &TableConfig,
        relation: &Relation,
        catalog: &[Attribute],
    ) -> Result<TableBinding, SqlError> {
        if catalog.is_empty() {
            return Err(table_error(table, "the table was dropped upstream"));
        }
        let numbers = column_numbers(table, relation, catalog)?;
        let mut columns = Vec::with_capacity(table.columns.len());
        for column in &table.columns {
            let upstream = upstream_column(table, column.attnum)?;
            if !catalog.iter().any(|attribute| attribute.attnum == column.attnum) {
                let what = format!("column \"{}\" was dropped upstream", upstream.name);
                return Err(table_error(table, &what));
            }
            let place = numbers.iter().position(|number| *number == column.attnum);
            let Some(place) = place else {
                let what =
                    format!("column \"{}\" was renamed or is no longer published", upstream.name);
                return Err(table_error(table, &what));
            };
            let now = &relation.columns[place];
            let decoder = decoder(table, column, upstream, now)?;
            columns.push((decoder, place));
        }
        let old_rows = old_rows(table, relation, &numbers)?;
        let carried = |attnum: i16| table.columns.iter().any(|column| column.attnum == attnum);
        let places = numbers.iter().copied().zip(0..);
        Ok(TableBinding {
            columns,
            width: relation.columns.len(),
            beside: places.filter(|(attnum, _)| !carried(*attnum)).collect(),
            is_current: numbers.iter().copied().eq(catalog.iter().map(|one| one.attnum)),
            old_rows,
            row: RowBuilder::new(),
            old_row: RowBuilder::new(),
        })
    }

    /// The columns that are not carried, by number and place; None if that is not sure.
    pub(crate) fn beside(&self) -> Option<&[(i16, usize)]> {
        self.is_current.then_some(&self.beside)
    }

    /// Whether a column has a wider type than the column here, which may have come with a rewrite
    /// of the table.
    pub(crate) fn is_widened(&self) -> bool {
        self.columns.iter().any(|(decoder, _)| decoder.range.is_some())
    }

    /// Whether a change brings a label that the enum of its column does not have.
    pub(crate) fn has_unknown_label(&self, message: &Message<'_>) -> bool {
        let (Message::Insert { new, .. } | Message::Update { new, .. }) = message else {
            return false;
        };
        let is_enum = |(decoder, _): &&(ColumnDecoder, usize)| match &decoder.typ.scalar_type {
            ScalarType::Enum(_) => true,
            ScalarType::Array(element) => matches!(**element, ScalarType::Enum(_)),
            _ => false,
        };
        self.columns.iter().filter(is_enum).any(|(decoder, place)| {
            new.iter().nth(*place).is_some_and(|value| decoder.is_unknown_label(&value))
        })
    }

    /// The columns by which old rows are found in the table's own content, if they are.
    pub(crate) fn key(&self) -> Option<&[usize]> {
        match &self.old_rows {
            OldRows::ByKey(key) => Some(key),
            _ => None,
        }
    }

    /// Turns a change into updates. `content` must be there for an update or delete of a table
    /// with a [`TableBinding::key`]; if it is there, it follows.
    pub(crate) fn change(
        &mut self,
        message: &Message<'_>,
        content: Option<&mut KeyedContent>,
        out: &mut RowBatch,
    ) -> Result<(), SqlError> {
        match message {
            Message::Insert { new, .. } => self.insert(new, content, out),
            Message::Update { old, new, .. } => self.update(old.as_ref(), new, content, out),
            Message::Delete { old, .. } => self.delete(old, content, out),
            _ => Ok(()),
        }
    }

    fn insert(
        &mut self,
        new: &Tuple<'_>,
        content: Option<&mut KeyedContent>,
        out: &mut RowBatch,
    ) -> Result<(), SqlError> {
        decode(&self.columns, self.width, new, None, &mut self.row)?;
        if let Some(content) = content {
            content.insert(self.row.as_ref())?;
        }
        out.push(self.row.as_ref(), 1);
        Ok(())
    }

    fn delete(
        &mut self,
        old: &OldTuple<'_>,
        content: Option<&mut KeyedContent>,
        out: &mut RowBatch,
    ) -> Result<(), SqlError> {
        if let OldRows::ByKey(key) = &self.old_rows {
            let key = read_key(&self.columns, key, self.width, old.tuple())?;
            let row = content.ok_or_else(old_row_missing)?.remove(&key)?;
            out.push(row.as_ref(), -1);
            return Ok(());
        }
        let old = self.told(Some(old))?;
        decode(&self.columns, self.width, old, None, &mut self.row)?;
        out.push(self.row.as_ref(), -1);
        Ok(())
    }

    fn update(
        &mut self,
        old: Option<&OldTuple<'_>>,
        new: &Tuple<'_>,
        content: Option<&mut KeyedContent>,
        out: &mut RowBatch,
    ) -> Result<(), SqlError> {
        if let OldRows::ByKey(key) = &self.old_rows {
            // Without an old tuple the key is what it was.
            let tuple = old.map_or(new, OldTuple::tuple);
            let key = read_key(&self.columns, key, self.width, tuple)?;
            let content = content.ok_or_else(old_row_missing)?;
            let row = content.remove(&key)?;
            decode(&self.columns, self.width, new, Some(row.as_ref()), &mut self.row)?;
            content.insert(self.row.as_ref())?;
            if self.row.bytes() != row.bytes() {
                out.push(row.as_ref(), -1);
                out.push(self.row.as_ref(), 1);
            }
            return Ok(());
        }
        let old = self.told(old)?;
        decode(&self.columns, self.width, old, None, &mut self.old_row)?;
        decode(&self.columns, self.width, new, Some(self.old_row.as_ref()), &mut self.row)?;
        if self.row.bytes() != self.old_row.bytes() {
            out.push(self.old_row.as_ref(), -1);
            out.push(self.row.as_ref(), 1);
        }
        Ok(())
    }

    fn told<'a, 'b>(&self, old: Option<&'b OldTuple<'a>>) -> Result<&'b Tuple<'a>, SqlError> {
        match old {
            Some(OldTuple::Full(tuple)) => Ok(tuple),
            _ => Err(old_row_missing()),
        }
    }
}

/// What a snapshot reads: the columns' names now, and their decoders.
///
/// # Errors
/// A column is gone, or has a type whose values do not fit.
pub(crate) fn snapshot_columns(
    table: &TableConfig,
    catalog: &[Attribute],
) -> Result<Vec<(String, ColumnDecoder)>, SqlError> {
    let column = |column: &IngestColumn| {
        let upstream = upstream_column(table, column.attnum)?;
        let Some(now) = catalog.iter().find(|attribute| attribute.attnum == column.attnum) else {
            let what = format!("column \"{}\" was dropped upstream", upstream.name);
            return Err(table_error(table, &what));
        };
        let now = RelationColumn {
            key: false,
            name: now.name.clone(),
            type_oid: Oid(now.type_oid),
            typmod: now.typmod,
        };
        Ok((now.name.clone(), decoder(table, column, upstream, &now)?))
    };
    table.columns.iter().map(column).collect()
}

/// The decoder of a column, whose type may be wider by now.
fn decoder(
    table: &TableConfig,
    column: &IngestColumn,
    upstream: &UpstreamColumn,
    now: &RelationColumn,
) -> Result<ColumnDecoder, SqlError> {
    let same = (now.type_oid, now.typmod) == (upstream.type_oid, upstream.typmod);
    let wider = if same { None } else { widened(upstream, now) };
    let now = match &wider {
        _ if same => upstream,
        Some(wider) => wider,
        None => return Err(type_changed(table, upstream)),
    };
    Ok(column_decoder(column, now))
}

/// The decoder of a column that comes with this type, which may hold more than the column here.
fn column_decoder(column: &IngestColumn, now: &UpstreamColumn) -> ColumnDecoder {
    let holds_more = match (&column.typ.scalar_type, now.base_type_oid.0) {
        (ScalarType::Int2, 23 | 20) | (ScalarType::Int4, 20) | (ScalarType::Varchar, 25) => true,
        (ScalarType::Varchar, 1043) | (ScalarType::Numeric, 1700) => {
            column.typ.typmod != now.base_typmod
        }
        _ => false,
    };
    if holds_more && !column.as_text {
        return ColumnDecoder::widened(now, &column.typ);
    }
    ColumnDecoder::new(now, &column.typ, column.as_text)
}

/// How old rows are found, as the stream says of the table now.
fn old_rows(
    table: &TableConfig,
    relation: &Relation,
    numbers: &[i16],
) -> Result<OldRows, SqlError> {
    if table.upstream.insert_only {
        return Ok(OldRows::Never);
    }
    let here = |attnum: i16| table.columns.iter().position(|column| column.attnum == attnum);
    if relation.replica_identity == b'f' {
        // A partition's old rows come as the partition tells them, whatever the root says: the
        // key, if there is one, is in them in any case.
        let key = table.upstream.keys.iter().find(|key| key.primary && table.upstream.partitioned);
        let key = key.and_then(|key| key.attnums.iter().map(|attnum| here(*attnum)).collect());
        return Ok(key.map_or(OldRows::Told, OldRows::ByKey));
    }
    let mut key = Vec::new();
    for (column, number) in relation.columns.iter().zip(numbers) {
        if !column.key {
            continue;
        }
        let Some(index) = here(*number) else {
            let what = format!("column \"{}\" of its replica identity is left out", column.name);
            return Err(table_error(table, &what)
                .with_hint(replica_identity_hint(&table.upstream.sql_name())));
        };
        key.push(index);
    }
    if key.is_empty() || relation.replica_identity == b'n' {
        let name = table.upstream.sql_name();
        return Err(table_error(table, "it no longer has a replica identity").with_hint(format!(
            "{} Then run ALTER TABLE .. RESYNC for the table here.",
            replica_identity_hint(&name)
        )));
    }
    Ok(OldRows::ByKey(key))
}

fn type_changed(table: &TableConfig, upstream: &UpstreamColumn) -> SqlError {
    let what = format!("the type of column \"{}\" was changed upstream", upstream.name);
    table_error(table, &what).with_detail(format!("It was {}.", upstream.type_name)).with_hint(
        "Give the column its type back upstream and run ALTER TABLE .. RESYNC, or drop the table \
         here and create it again.",
    )
}

/// The column with its new type, if each value of the old type is the same value in the new one.
fn widened(old: &UpstreamColumn, now: &RelationColumn) -> Option<UpstreamColumn> {
    const INT2: u32 = 21;
    const INT4: u32 = 23;
    const INT8: u32 = 20;
    const TEXT: u32 = 25;
    const VARCHAR: u32 = 1043;
    const NUMERIC: u32 = 1700;
    let fits = match (old.type_oid.0, now.type_oid.0) {
        (INT2, INT4 | INT8) | (INT4, INT8) | (VARCHAR, TEXT) => true,
        (VARCHAR, VARCHAR) => now.typmod == -1 || (old.typmod != -1 && now.typmod >= old.typmod),
        (NUMERIC, NUMERIC) => {
            // Precision above, scale below; more digits behind the point would change the values.
            let same_scale = (old.typmod - 4) & 0x7ff == (now.typmod - 4) & 0x7ff;
            now.typmod == -1 || (old.typmod != -1 && same_scale && now.typmod >= old.typmod)
        }
        _ => false,
    };
    fits.then(|| UpstreamColumn {
        type_oid: now.type_oid,
        typmod: now.typmod,
        base_type_oid: now.type_oid,
        base_typmod: now.typmod,
        ..old.clone()
    })
}

fn old_row_missing() -> SqlError {
    SqlError::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        "the upstream sent a change without the old row",
    )
    .with_hint("Give the table REPLICA IDENTITY FULL on the upstream database.")
}

/// The columns of a key, from a tuple that has at least them.
fn read_key(
    columns: &[(ColumnDecoder, usize)],
    key: &[usize],
    width: usize,
    tuple: &Tuple<'_>,
) -> Result<Row, SqlError> {
    if tuple.len() != width {
        return Err(SqlError::internal("a tuple has not the columns of its table"));
    }
    let mut row = RowBuilder::new();
    for (decoder, place) in key.iter().filter_map(|column| columns.get(*column)) {
        match tuple.iter().nth(*place) {
            Some(TupleValue::Text(bytes)) => decoder.text(bytes, &mut row)?,
            Some(TupleValue::Binary(bytes)) => decoder.binary(bytes, &mut row)?,
            _ => return Err(old_row_missing()),
        }
    }
    Ok(row.finish())
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

#[cfg(test)]
mod tests;
