//! The types that random queries are made of, and values of each.

use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

/// A type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Int2,
    Int4,
    Int8,
    Numeric,
    Float8,
    Text,
    Bool,
    Date,
    Timestamp,
    Interval,
    IntArray,
    Jsonb,
    Uuid,
}

impl Kind {
    /// Types of columns; those that are met more often stand more often.
    const COLUMNS: &'static [Kind] = &[
        Kind::Int4,
        Kind::Int4,
        Kind::Int4,
        Kind::Int2,
        Kind::Int8,
        Kind::Int8,
        Kind::Numeric,
        Kind::Numeric,
        Kind::Float8,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Bool,
        Kind::Date,
        Kind::Timestamp,
        Kind::Interval,
        Kind::IntArray,
        Kind::Jsonb,
        Kind::Uuid,
    ];

    /// Any type.
    pub fn random(rng: &mut SmallRng) -> Kind {
        Kind::COLUMNS.choose(rng).copied().unwrap_or(Kind::Int4)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Int2 => "int2",
            Kind::Int4 => "int4",
            Kind::Int8 => "int8",
            Kind::Numeric => "numeric",
            Kind::Float8 => "float8",
            Kind::Text => "text",
            Kind::Bool => "bool",
            Kind::Date => "date",
            Kind::Timestamp => "timestamp",
            Kind::Interval => "interval",
            Kind::IntArray => "int4[]",
            Kind::Jsonb => "jsonb",
            Kind::Uuid => "uuid",
        }
    }

    /// Whether equal values look the same, so that any of them may stand for all.
    pub fn is_plain(self) -> bool {
        !matches!(self, Kind::Numeric | Kind::Float8 | Kind::Interval | Kind::Jsonb)
    }

    /// Texts of a few values: few enough to be met again in joins and groups.
    fn texts(self) -> &'static [&'static str] {
        match self {
            Kind::Int2 | Kind::Int4 | Kind::Int8 => {
                &["0", "1", "1", "2", "2", "3", "5", "7", "10", "-1", "-4", "100"]
            }
            Kind::Numeric => &["0", "1", "1.5", "2", "2.25", "-3.75", "10", "0.001", "1000000.5"],
            Kind::Float8 => &["0", "1", "0.5", "2", "-2.25", "1024", "3"],
            Kind::Text => &["a", "b", "ab", "abc", "", "A b", "日本", "1", "b", "zz top"],
            Kind::Bool => &["true", "false"],
            Kind::Date => &["2024-01-31", "2024-02-29", "1999-12-31", "2000-01-01", "2024-03-01"],
            Kind::Timestamp => &[
                "2024-01-31 00:00:00",
                "2024-02-29 12:34:56.789",
                "1999-12-31 23:59:59",
                "2000-01-01 00:00:00",
            ],
            Kind::Interval => {
                &["1 day", "02:30:00", "1 mon", "-00:30:00", "1 year 2 mons", "0", "3 days 04:00"]
            }
            Kind::IntArray => &["{}", "{1}", "{1,2}", "{2,1}", "{1,NULL,3}", "{5,5}"],
            Kind::Jsonb => {
                &["null", "1", "{\"a\": 1}", "[1, 2]", "{\"a\": {\"b\": \"x\"}}", "\"a\""]
            }
            Kind::Uuid => &[
                "00000000-0000-0000-0000-000000000001",
                "00000000-0000-0000-0000-000000000002",
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
            ],
        }
    }

    /// A constant.
    pub fn literal(self, rng: &mut SmallRng) -> String {
        if rng.random_ratio(1, 12) {
            return format!("NULL::{}", self.name());
        }
        let text = self.texts().choose(rng).copied().unwrap_or("0");
        match self {
            Kind::Int4 => format!("({text})"),
            Kind::Bool => text.to_owned(),
            _ => format!("'{text}'::{}", self.name()),
        }
    }

    /// A value for INSERT.
    pub fn value(self, rng: &mut SmallRng) -> String {
        if rng.random_ratio(1, 6) {
            return "NULL".to_owned();
        }
        format!("'{}'", self.texts().choose(rng).copied().unwrap_or("0"))
    }
}

/// A table or subquery in scope: its name, and its columns.
#[derive(Debug, Clone)]
pub struct Relation {
    /// The name columns are qualified by.
    pub name: String,
    /// Names and types.
    pub columns: Vec<(String, Kind)>,
}

/// The tables of one round.
#[derive(Debug, Clone)]
pub struct Schema {
    /// The tables.
    pub tables: Vec<Relation>,
}

impl Schema {
    /// Two to four tables.
    pub fn random(rng: &mut SmallRng) -> Schema {
        let count = rng.random_range(2..=4);
        let tables = (0..count).map(|number| {
            let width = rng.random_range(2..=5);
            let mut columns: Vec<(String, Kind)> =
                (0..width).map(|c| (format!("c{c}"), Kind::random(rng))).collect();
            // Something to join by.
            columns[0].1 = Kind::Int4;
            Relation { name: format!("t{number}"), columns }
        });
        Schema { tables: tables.collect() }
    }

    /// The statements that create the tables.
    pub fn create(&self) -> Vec<String> {
        let create = |table: &Relation| {
            let columns: Vec<String> = table
                .columns
                .iter()
                .map(|(name, kind)| format!("{name} {}", kind.name()))
                .collect();
            format!("CREATE TABLE {} ({})", table.name, columns.join(", "))
        };
        self.tables.iter().map(create).collect()
    }

    /// A statement that writes.
    pub fn write(&self, rng: &mut SmallRng) -> String {
        let Some(table) = self.tables.choose(rng) else { return "SELECT 1".to_owned() };
        let name = &table.name;
        match rng.random_range(0..10) {
            0..=5 => self.insert(rng, table),
            6 | 7 => {
                let place = rng.random_range(0..table.columns.len());
                let (column, kind) = &table.columns[place];
                let value = kind.value(rng);
                format!("UPDATE {name} SET {column} = {value} WHERE {}", Self::some(rng, table))
            }
            _ => format!("DELETE FROM {name} WHERE {}", Self::some(rng, table)),
        }
    }

    /// A condition on some of a table's rows, which both servers agree on.
    fn some(rng: &mut SmallRng, table: &Relation) -> String {
        let (column, _) = &table.columns[0];
        format!("{column} = {} OR {column} IS NULL", rng.random_range(-1..6))
    }

    /// A statement that inserts.
    pub fn insert(&self, rng: &mut SmallRng, table: &Relation) -> String {
        let rows = rng.random_range(1..=6);
        let rows: Vec<String> = (0..rows)
            .map(|_| {
                let values: Vec<String> =
                    table.columns.iter().map(|(_, kind)| kind.value(rng)).collect();
                format!("({})", values.join(", "))
            })
            .collect();
        format!("INSERT INTO {} VALUES {}", table.name, rows.join(", "))
    }
}
