//! COPY: what is copied, and how it is written.

use tidemill_repr::Column;

use super::{InsertPlan, Plan};

/// The formats of COPY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyFormat {
    /// Delimiters and backslashes.
    #[default]
    Text,
    /// Comma-separated values.
    Csv,
    /// PostgreSQL's binary format.
    Binary,
}

/// Whether the first line names the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyHeader {
    /// No.
    #[default]
    None,
    /// Yes.
    Line,
    /// Yes, and they must be those that are copied.
    Match,
}

/// How COPY writes and reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    /// The format.
    pub format: CopyFormat,
    /// What is between two values.
    pub delimiter: u8,
    /// What stands for NULL.
    pub null: String,
    /// The first line.
    pub header: CopyHeader,
    /// What is around values (csv).
    pub quote: u8,
    /// What is before a quote within quotes (csv).
    pub escape: u8,
    /// For each column whether its values are always quoted.
    pub force_quote: Vec<bool>,
    /// For each column whether its values are never NULL.
    pub force_not_null: Vec<bool>,
    /// For each column whether also a quoted value may be NULL.
    pub force_null: Vec<bool>,
}

impl Default for CopyOptions {
    fn default() -> CopyOptions {
        CopyOptions {
            format: CopyFormat::Text,
            delimiter: b'\t',
            null: "\\N".to_owned(),
            header: CopyHeader::None,
            quote: b'"',
            escape: b'"',
            force_quote: Vec::new(),
            force_not_null: Vec::new(),
            force_null: Vec::new(),
        }
    }
}

/// COPY .. TO STDOUT.
#[derive(Clone, Debug)]
pub struct CopyPlan {
    /// What is copied: a Select or a Subscribe.
    pub source: Box<Plan>,
    /// How it is written.
    pub options: CopyOptions,
}

/// COPY .. FROM STDIN.
#[derive(Clone, Debug)]
pub struct CopyFromPlan {
    /// What is done with the rows. Its query reads a constant without rows: they go there.
    pub insert: InsertPlan,
    /// The columns that the rows have.
    pub columns: Vec<Column>,
    /// Whether those are the table's columns in their order, so that the query does nothing.
    pub direct: bool,
    /// How they are written.
    pub options: CopyOptions,
}
