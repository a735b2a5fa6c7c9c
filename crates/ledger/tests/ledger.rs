//! The ledger's promises, on real files: atomic entries, prefixes after a crash, checkpoints that
//! change nothing, one server a directory.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ethnum::I256;
use proptest::prelude::*;
use serde_json::json;

use tidemill_ledger::{Entry, Ledger, LedgerError, Options, Recovered};
use tidemill_repr::jsonb::JsonbRef;
use tidemill_repr::{
    ColumnType, Datum, Diff, Interval, Numeric, ObjectId, RelationDesc, Row, RowBatch, ScalarType,
    Tick,
};

const ACCOUNTS: ObjectId = ObjectId::User(1);
const BRANCHES: ObjectId = ObjectId::User(2);
const SOURCE: ObjectId = ObjectId::User(9);

type Content = BTreeMap<Row, Diff>;

fn open(directory: &Path) -> (Ledger, Recovered) {
    Ledger::open(directory, Options::default()).unwrap()
}

fn small() -> Options {
    Options {
        segment_bytes: 300,
        tail_updates: 8,
        checkpoint_pause: Duration::from_millis(1),
        ..Options::default()
    }
}

fn row(number: i64) -> Row {
    Row::pack([Datum::Int(number), Datum::Text("tide")])
}

fn batch(updates: &[(i64, Diff)]) -> Arc<RowBatch> {
    let mut batch = RowBatch::new();
    for (number, diff) in updates {
        batch.push(row(*number).as_ref(), *diff);
    }
    Arc::new(batch)
}

fn desc() -> RelationDesc {
    RelationDesc::new([
        ("id", ColumnType::new(ScalarType::Int4).nullable(false)),
        ("name", ColumnType::new(ScalarType::Text)),
    ])
}

fn entry(tick: u64, updates: &[(i64, Diff)]) -> Entry {
    Entry {
        updates: vec![(ACCOUNTS, batch(updates))],
        positions: vec![(SOURCE, tick.to_be_bytes().to_vec())],
        catalog: vec![json!({"tick": tick})],
        ..Entry::at(Tick(tick))
    }
}

fn append(ledger: &Ledger, entry: Entry) -> Result<(), LedgerError> {
    let (sender, receiver) = mpsc::channel();
    ledger.append(entry, Box::new(move |result| sender.send(result).unwrap()));
    receiver.recv().unwrap()
}

fn content(ledger: &Ledger, collection: ObjectId, as_of: Tick) -> Content {
    let mut content = Content::new();
    for batch in ledger.read(collection, as_of).unwrap() {
        for (row, diff) in batch.unwrap().iter() {
            *content.entry(row.to_owned()).or_default() += diff;
        }
    }
    content.retain(|_, diff| *diff != 0);
    content
}

fn files(directory: &Path, folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(directory.join(folder)).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn entries_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, recovered) = open(directory.path());
    assert_eq!(recovered, Recovered::default());
    append(&ledger, entry(10, &[(1, 1), (2, 3)])).unwrap();
    append(&ledger, entry(11, &[(1, -1)])).unwrap();
    assert_eq!(*ledger.durable_upper().borrow(), Tick(11));
    drop(ledger);
    let (ledger, recovered) = open(directory.path());
    assert_eq!(recovered.upper, Tick(11));
    assert_eq!(recovered.catalog, vec![json!({"tick": 10}), json!({"tick": 11})]);
    assert_eq!(recovered.positions[&SOURCE], 11u64.to_be_bytes());
    assert_eq!(recovered.collections, BTreeSet::from([ACCOUNTS]));
    assert_eq!(content(&ledger, ACCOUNTS, Tick(10)), Content::from([(row(1), 1), (row(2), 3)]));
    assert_eq!(content(&ledger, ACCOUNTS, Tick(11)), Content::from([(row(2), 3)]));
    assert_eq!(content(&ledger, BRANCHES, Tick(11)), Content::new());
}

#[test]
fn ticks_increase() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, _) = open(directory.path());
    append(&ledger, entry(10, &[(1, 1)])).unwrap();
    assert!(matches!(append(&ledger, entry(10, &[])), Err(LedgerError::TickOrder { .. })));
    append(&ledger, entry(11, &[(2, 1)])).unwrap();
}

#[test]
fn a_second_server_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, _) = open(directory.path());
    let error = Ledger::open(directory.path(), Options::default()).unwrap_err();
    assert!(error.to_string().contains("in use by another Tidemill server"), "{error}");
    drop(ledger);
    open(directory.path());
}

#[test]
fn a_torn_end_leaves_a_prefix() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, _) = open(directory.path());
    let mut lengths = Vec::new();
    for tick in 1..=4 {
        append(&ledger, entry(tick, &[(tick as i64, 1), (0, 1)])).unwrap();
        lengths.push(fs::metadata(&files(directory.path(), "segments")[0]).unwrap().len());
    }
    drop(ledger);
    let path = files(directory.path(), "segments").remove(0);
    let whole = fs::read(&path).unwrap();
    for length in 0..=whole.len() {
        for garbage in [0, 40] {
            let mut torn = whole[..length].to_vec();
            torn.resize(length + garbage, 0);
            fs::write(&path, torn).unwrap();
            let (ledger, recovered) = open(directory.path());
            let survived = lengths.iter().filter(|end| **end <= length as u64).count();
            assert_eq!(recovered.upper, Tick(survived as u64), "cut at {length}");
            assert_eq!(recovered.catalog.len(), survived);
            let found = content(&ledger, ACCOUNTS, recovered.upper);
            assert_eq!(found.get(&row(0)).copied().unwrap_or(0), survived as i64);
            // And the log goes on.
            append(&ledger, entry(100, &[(100, 1)])).unwrap();
            drop(ledger);
            let (ledger, recovered) = open(directory.path());
            assert_eq!(recovered.upper, Tick(100));
            drop(ledger);
            for file in files(directory.path(), "segments") {
                fs::remove_file(file).unwrap();
            }
        }
    }
}

#[test]
fn corruption_in_the_middle_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, _) = open(directory.path());
    for tick in 1..=3 {
        append(&ledger, entry(tick, &[(tick as i64, 1)])).unwrap();
    }
    drop(ledger);
    let path = files(directory.path(), "segments").remove(0);
    let whole = fs::read(&path).unwrap();
    // Anywhere in the first record, its length included.
    for offset in [24, 26, 28, 40, 60] {
        let mut bad = whole.clone();
        bad[offset] ^= 0x10;
        fs::write(&path, bad).unwrap();
        let error = Ledger::open(directory.path(), Options::default()).unwrap_err().to_string();
        assert!(error.contains("corrupted at offset 24"), "{error}");
        assert!(error.contains(".log"), "{error}");
    }
    fs::write(&path, whole).unwrap();
    open(directory.path());
}

#[test]
fn concurrent_appends_share_a_write() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, _) = open(directory.path());
    let order = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = mpsc::channel();
    for tick in 1..=2000u64 {
        let (order, sender) = (Arc::clone(&order), sender.clone());
        let done = move |result: Result<(), LedgerError>| {
            result.unwrap();
            assert_eq!(order.fetch_add(1, Ordering::SeqCst) as u64 + 1, tick);
            if tick == 2000 {
                sender.send(()).unwrap();
            }
        };
        ledger.append(entry(tick, &[(tick as i64, 1)]), Box::new(done));
    }
    receiver.recv_timeout(Duration::from_secs(60)).unwrap();
    drop(ledger);
    // The durable length in a record is where its group started.
    let bytes = fs::read(&files(directory.path(), "segments")[0]).unwrap();
    let (mut offset, mut groups) = (24, BTreeSet::new());
    while offset < bytes.len() {
        let length = u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap());
        groups.insert(bytes[offset + 9..offset + 17].to_vec());
        offset += 8 + length as usize;
    }
    assert!(groups.len() < 1000, "{} groups for 2000 entries", groups.len());
}

#[test]
fn a_checkpoint_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(directory.path(), small()).unwrap();
    let described = Entry { columns: vec![(ACCOUNTS, desc())], ..Entry::at(Tick(1)) };
    append(&ledger, described).unwrap();
    let mut model = Content::new();
    for tick in 2..60u64 {
        let number = tick as i64 % 7;
        let updates = [(number, 1), (tick as i64, 1), (tick as i64 - 10, -1)];
        let updates = &updates[..if tick > 12 { 3 } else { 2 }];
        for (number, diff) in updates {
            *model.entry(row(*number)).or_default() += diff;
        }
        append(&ledger, entry(tick, updates)).unwrap();
        ledger.allow_compaction(Tick(tick.saturating_sub(3)));
    }
    model.retain(|_, diff| *diff != 0);
    assert_eq!(content(&ledger, ACCOUNTS, Tick(59)), model);
    ledger.allow_compaction(Tick(57));
    ledger.checkpoint().unwrap();
    assert_eq!(content(&ledger, ACCOUNTS, Tick(59)), model);
    assert!(matches!(ledger.read(ACCOUNTS, Tick(5)), Err(LedgerError::NotHeld { .. })));
    drop(ledger);
    let (ledger, recovered) = open(directory.path());
    assert_eq!((recovered.upper, recovered.catalog.len()), (Tick(59), 58));
    assert_eq!(content(&ledger, ACCOUNTS, Tick(59)), model);
    ledger.allow_compaction(Tick(59));
    ledger.checkpoint().unwrap();
    assert_eq!(files(directory.path(), "segments").len(), 1);
    drop(ledger);
    let (ledger, recovered) = open(directory.path());
    assert_eq!((recovered.upper, recovered.catalog.len()), (Tick(59), 58));
    assert_eq!(content(&ledger, ACCOUNTS, Tick(59)), model);
    // A dropped collection leaves nothing.
    append(&ledger, Entry { dropped: vec![ACCOUNTS, SOURCE], ..Entry::at(Tick(60)) }).unwrap();
    assert!(files(directory.path(), "parts").is_empty());
    drop(ledger);
    let (_, recovered) = open(directory.path());
    assert!(recovered.collections.is_empty() && recovered.positions.is_empty());
}

#[test]
fn parts_belong_to_the_entry_that_names_them() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, _) = open(directory.path());
    let mut writer = ledger.part_writer(ACCOUNTS, &desc().types());
    writer.push(&batch(&[(1, 1), (2, 1)])).unwrap();
    let parts = writer.finish().unwrap();
    let mut unfinished = ledger.part_writer(ACCOUNTS, &desc().types());
    unfinished.push(&batch(&[(7, 1)])).unwrap();
    drop(unfinished);
    assert_eq!(files(directory.path(), "parts").len(), 1);
    assert_eq!(content(&ledger, ACCOUNTS, Tick(5)), Content::new());
    let parts = parts.into_iter().map(|part| (ACCOUNTS, part)).collect();
    append(&ledger, Entry { parts, ..Entry::at(Tick(5)) }).unwrap();
    append(&ledger, entry(6, &[(1, -1)])).unwrap();
    let expected = Content::from([(row(2), 1)]);
    assert_eq!(content(&ledger, ACCOUNTS, Tick(6)), expected);
    let reader = ledger.read(ACCOUNTS, Tick(6)).unwrap();
    ledger.allow_compaction(Tick(6));
    ledger.checkpoint().unwrap();
    // A reader that began before the checkpoint still has its files.
    assert_eq!(reader.map(|batch| batch.unwrap().len()).sum::<usize>(), 3);
    drop(ledger);
    let (ledger, _) = open(directory.path());
    assert_eq!(content(&ledger, ACCOUNTS, Tick(6)), expected);
    drop(ledger);
    fs::remove_file(&files(directory.path(), "parts")[0]).unwrap();
    let error = Ledger::open(directory.path(), Options::default()).unwrap_err().to_string();
    assert!(error.contains("missing"), "{error}");
}

#[test]
fn nothing_is_promised_after_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, _) = open(directory.path());
    let segments = directory.path().join("segments");
    fs::remove_dir(&segments).unwrap();
    assert!(matches!(append(&ledger, entry(1, &[])), Err(LedgerError::Io { .. })));
    fs::create_dir(&segments).unwrap();
    assert!(matches!(append(&ledger, entry(2, &[])), Err(LedgerError::Poisoned(_))));
    assert!(matches!(ledger.checkpoint(), Err(LedgerError::Poisoned(_))));
    assert_eq!(*ledger.durable_upper().borrow(), Tick(0));
}

#[test]
fn the_catalog_can_be_compacted() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, _) = open(directory.path());
    for tick in 1..=3 {
        append(&ledger, entry(tick, &[])).unwrap();
    }
    ledger.replace_catalog(Tick(2), vec![json!("both")]);
    ledger.checkpoint().unwrap();
    drop(ledger);
    let (_, recovered) = open(directory.path());
    assert_eq!(recovered.catalog, vec![json!("both"), json!({"tick": 3})]);
}

/// The bytes of a row go into a part and come back the same.
fn check_part(typ: ScalarType, rows: &[Row]) {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, _) = open(directory.path());
    let types = [ColumnType::new(typ.clone())];
    let mut writer = ledger.part_writer(ACCOUNTS, &types);
    let mut batch = RowBatch::new();
    rows.iter().for_each(|row| batch.push(row.as_ref(), 1));
    writer.push(&batch).unwrap();
    let parts = writer.finish().unwrap().into_iter().map(|part| (ACCOUNTS, part)).collect();
    append(&ledger, Entry { parts, ..Entry::at(Tick(1)) }).unwrap();
    let mut expected = Content::new();
    rows.iter().for_each(|row| *expected.entry(row.clone()).or_default() += 1);
    assert_eq!(content(&ledger, ACCOUNTS, Tick(1)), expected, "{typ}");
}

fn samples(typ: &ScalarType) -> Vec<Row> {
    let mut rows = Vec::new();
    rows.push(Row::pack([Datum::Null]));
    let datums: Vec<Datum<'_>> = match typ {
        ScalarType::Bool => vec![Datum::Bool(true), Datum::Bool(false)],
        ScalarType::Int2 | ScalarType::Int4 | ScalarType::Int8 => {
            // The last does not fit all of them: such a part goes on as whole rows.
            vec![Datum::Int(0), Datum::Int(-7), Datum::Int(40_000), Datum::Int(i64::MIN)]
        }
        ScalarType::Oid | ScalarType::Regclass | ScalarType::Regtype | ScalarType::Regproc => {
            vec![Datum::Int(u32::MAX.into())]
        }
        ScalarType::Float4 => vec![Datum::Float4(-0.0), Datum::Float4(f32::NAN)],
        ScalarType::Float8 => vec![Datum::Float8(-0.0), Datum::Float8(f64::INFINITY)],
        ScalarType::Bytea => vec![Datum::Bytes(b"\0\xff"), Datum::Bytes(b"")],
        ScalarType::Date => {
            [i32::MIN, -10_957, 0, 2_145_031_948, i32::MAX - 1, i32::MAX].map(Datum::Date).to_vec()
        }
        ScalarType::Time => vec![Datum::Time(0), Datum::Time(86_400_000_000)],
        ScalarType::Timestamp => {
            [i64::MIN, 0, 9_223_371_331_199_999_999, i64::MAX].map(Datum::Timestamp).to_vec()
        }
        ScalarType::TimestampTz => {
            [i64::MIN, -1, 9_223_371_331_199_999_999, i64::MAX].map(Datum::TimestampTz).to_vec()
        }
        ScalarType::Uuid => vec![Datum::Uuid([7; 16])],
        ScalarType::Numeric => {
            let finite = |mantissa: i64, scale| {
                Datum::Numeric(Numeric::Finite { mantissa: I256::from(mantissa), scale })
            };
            let infinite = [Numeric::NaN, Numeric::NegativeInfinity].map(Datum::Numeric);
            let finite = [finite(0, 0), finite(0, 2), finite(10, 1), finite(100, 2), finite(-5, 7)];
            finite.into_iter().chain(infinite).collect()
        }
        ScalarType::Interval => [(1, 0, 0), (0, 30, 0), (-12, 2, -5), (i32::MIN, 0, i64::MAX)]
            .map(|(months, days, micros)| Datum::Interval(Interval { months, days, micros }))
            .to_vec(),
        ScalarType::Jsonb => vec![Datum::Jsonb(JsonbRef::from_bytes(b"opaque here"))],
        ScalarType::Array(_) => {
            let mut array = tidemill_repr::RowBuilder::new();
            array.push_array(&[(2, 1)], [Datum::Int(1), Datum::Null]);
            rows.push(array.finish());
            Vec::new()
        }
        ScalarType::Record(_) => {
            let mut record = tidemill_repr::RowBuilder::new();
            record.push_record([Datum::Int(1), Datum::Text("x")]);
            rows.push(record.finish());
            Vec::new()
        }
        _ => vec![Datum::Text(""), Datum::Text("tide  "), Datum::Text("müll")],
    };
    rows.extend(datums.into_iter().map(|datum| Row::pack([datum])));
    rows
}

#[test]
fn parts_keep_the_bytes_of_every_type() {
    for typ in ScalarType::ALL {
        check_part(typ.clone(), &samples(typ));
    }
    for typ in [
        ScalarType::Array(Box::new(ScalarType::Int4)),
        ScalarType::Record(vec![ScalarType::Int4, ScalarType::Text]),
    ] {
        check_part(typ.clone(), &samples(&typ));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<(bool, i64, Diff)>),
    Bulk(Vec<(i64, Diff)>),
    Compact,
    Checkpoint,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => prop::collection::vec((any::<bool>(), 0..12i64, -2..3i64), 0..6).prop_map(Step::Append),
        1 => prop::collection::vec((0..12i64, 1..3i64), 1..20).prop_map(Step::Bulk),
        1 => Just(Step::Compact),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn reads_are_the_sum_of_entries(steps in steps()) {
        let directory = tempfile::tempdir().unwrap();
        let (mut ledger, _) = Ledger::open(directory.path(), small()).unwrap();
        let mut models = [Content::new(), Content::new()];
        let mut tick = 0;
        for step in steps {
            match step {
                Step::Append(updates) => {
                    tick += 1;
                    let side = |first: bool| {
                        let of_side = updates.iter().filter(|update| update.0 == first);
                        of_side.map(|update| (update.1, update.2)).collect::<Vec<_>>()
                    };
                    for (model, first) in models.iter_mut().zip([true, false]) {
                        for (number, diff) in side(first) {
                            *model.entry(row(number)).or_default() += diff;
                        }
                    }
                    let updates =
                        vec![(ACCOUNTS, batch(&side(true))), (BRANCHES, batch(&side(false)))];
                    append(&ledger, Entry { updates, ..Entry::at(Tick(tick)) }).unwrap();
                }
                Step::Bulk(updates) => {
                    tick += 1;
                    let mut writer = ledger.part_writer(ACCOUNTS, &desc().types());
                    writer.push(&batch(&updates)).unwrap();
                    let parts = writer.finish().unwrap();
                    let parts = parts.into_iter().map(|part| (ACCOUNTS, part)).collect();
                    append(&ledger, Entry { parts, ..Entry::at(Tick(tick)) }).unwrap();
                    for (number, diff) in updates {
                        *models[0].entry(row(number)).or_default() += diff;
                    }
                }
                Step::Compact => ledger.allow_compaction(Tick(tick)),
                Step::Checkpoint => ledger.checkpoint().unwrap(),
                Step::Restart => {
                    drop(ledger);
                    let (again, recovered) = Ledger::open(directory.path(), small()).unwrap();
                    assert_eq!(recovered.upper, Tick(tick));
                    ledger = again;
                }
            }
            for (model, id) in models.iter_mut().zip([ACCOUNTS, BRANCHES]) {
                model.retain(|_, diff| *diff != 0);
                assert_eq!(&content(&ledger, id, Tick(tick)), model);
            }
        }
    }
}
