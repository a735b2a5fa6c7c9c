//! How quick parts are written: run it with
//! `cargo test --release -p tidemill-ledger --test part_speed -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, reason = "helpers of tests end the test")]

use std::time::Instant;

use tidemill_ledger::{Ledger, Options};
use tidemill_repr::{ColumnType, Datum, ObjectId, RowBatch, RowBuilder, ScalarType};

#[test]
#[ignore = "a measurement"]
fn two_million_rows() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(directory.path(), Options::default()).unwrap();
    let integer = ColumnType::new(ScalarType::Int4);
    let filler = ColumnType::new(ScalarType::Bpchar).with_typmod(88);
    let types = [integer.clone(), integer.clone(), integer, filler];
    let filler = " ".repeat(84);
    let (mut batch, mut row) = (RowBatch::new(), RowBuilder::new());
    for number in 0..2000 {
        row.clear();
        let integers = [number * 1_007, number, -number * 31].map(Datum::Int);
        row.extend(integers.into_iter().chain([Datum::Text(&filler)]));
        batch.push(row.as_ref(), 1);
    }
    let start = Instant::now();
    let mut writer = ledger.part_writer(ObjectId::User(1), &types);
    for _ in 0..1000 {
        writer.push(&batch).unwrap();
    }
    let encoded = start.elapsed();
    let parts = writer.finish().unwrap();
    println!("encoded in {encoded:?}, durable after {:?}: {parts:?}", start.elapsed());
}
