//! Messages that are written here must be read back; no bytes may panic.

use proptest::prelude::*;

use super::*;

fn name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(name.as_bytes());
    out.push(0);
}

fn tuple(out: &mut Vec<u8>, values: &[TupleValue<'_>]) {
    out.extend_from_slice(&(values.len() as u16).to_be_bytes());
    for value in values {
        let (kind, bytes) = match value {
            TupleValue::Null => (b'n', None),
            TupleValue::Unchanged => (b'u', None),
            TupleValue::Text(bytes) => (b't', Some(bytes)),
            TupleValue::Binary(bytes) => (b'b', Some(bytes)),
        };
        out.push(kind);
        if let Some(bytes) = bytes {
            out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            out.extend_from_slice(bytes);
        }
    }
}

fn value() -> impl Strategy<Value = (u8, Vec<u8>)> {
    (0u8..4, proptest::collection::vec(any::<u8>(), 0..20))
}

fn borrow(values: &[(u8, Vec<u8>)]) -> Vec<TupleValue<'_>> {
    values
        .iter()
        .map(|(kind, bytes)| match kind {
            0 => TupleValue::Null,
            1 => TupleValue::Unchanged,
            2 => TupleValue::Text(bytes),
            _ => TupleValue::Binary(bytes),
        })
        .collect()
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn arbitrary_bytes_behind_a_tag_never_panic(
        tag in proptest::sample::select(b"BCORYIUDTMSEcA".to_vec()),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut message = vec![tag];
        message.extend(bytes);
        let _ = decode(&message);
    }

    #[test]
    fn an_update_is_read_back(
        table in any::<u32>(),
        old in proptest::collection::vec(value(), 0..6),
        new in proptest::collection::vec(value(), 0..6),
    ) {
        let mut out = vec![b'U'];
        out.extend_from_slice(&table.to_be_bytes());
        out.push(b'O');
        tuple(&mut out, &borrow(&old));
        out.push(b'N');
        tuple(&mut out, &borrow(&new));
        let Message::Update { table: read, old: Some(OldTuple::Full(o)), new: n } =
            decode(&out).unwrap() else { panic!("no update") };
        prop_assert_eq!(read, Oid(table));
        prop_assert_eq!(o.iter().collect::<Vec<_>>(), borrow(&old));
        prop_assert_eq!(n.iter().collect::<Vec<_>>(), borrow(&new));
        // Any shorter message is refused.
        for length in 0..out.len() {
            prop_assert!(decode(&out[..length]).is_err());
        }
    }
}

#[test]
fn a_relation_is_read_back() {
    let mut out = vec![b'R'];
    out.extend_from_slice(&7u32.to_be_bytes());
    name(&mut out, "public");
    name(&mut out, "t");
    out.push(b'f');
    out.extend_from_slice(&1u16.to_be_bytes());
    out.push(1);
    name(&mut out, "id");
    out.extend_from_slice(&23u32.to_be_bytes());
    out.extend_from_slice(&(-1i32).to_be_bytes());
    let columns =
        vec![RelationColumn { key: true, name: "id".to_owned(), type_oid: Oid(23), typmod: -1 }];
    let expected = Relation {
        oid: Oid(7),
        schema: "public".to_owned(),
        name: "t".to_owned(),
        replica_identity: b'f',
        columns,
    };
    assert_eq!(decode(&out), Ok(Message::Relation(expected)));
}

#[test]
fn begin_commit_and_truncate_are_read_back() {
    let mut begin = vec![b'B'];
    begin.extend_from_slice(&5u64.to_be_bytes());
    begin.extend_from_slice(&6i64.to_be_bytes());
    begin.extend_from_slice(&7u32.to_be_bytes());
    assert_eq!(decode(&begin), Ok(Message::Begin { final_lsn: Lsn(5), commit_time: 6, xid: 7 }));
    let mut commit = vec![b'C', 0];
    for number in [5u64, 8, 6] {
        commit.extend_from_slice(&number.to_be_bytes());
    }
    assert_eq!(
        decode(&commit),
        Ok(Message::Commit { commit_lsn: Lsn(5), end_lsn: Lsn(8), commit_time: 6 })
    );
    commit.push(0);
    assert_eq!(decode(&commit), Err(DecodeError("it goes on too long")));
    let mut truncate = vec![b'T'];
    truncate.extend_from_slice(&2u32.to_be_bytes());
    truncate.push(1);
    truncate.extend_from_slice(&10u32.to_be_bytes());
    truncate.extend_from_slice(&11u32.to_be_bytes());
    assert_eq!(decode(&truncate), Ok(Message::Truncate { tables: vec![Oid(10), Oid(11)] }));
}
