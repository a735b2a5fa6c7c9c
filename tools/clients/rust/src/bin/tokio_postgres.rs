//! tokio-postgres: binary format throughout, types of all kinds, pipelining, portals, COPY, cancel.
use std::pin::pin;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use futures_util::{future, SinkExt, StreamExt, TryStreamExt};
use postgres_types::{FromSql, ToSql};
use rust_decimal::Decimal;
use tokio_postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Json, Kind, Type};
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage};
use uuid::Uuid;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[derive(Debug, Clone, PartialEq, ToSql, FromSql)]
#[postgres(name = "tp_mood", rename_all = "lowercase")]
enum Mood {
    Sad,
    Happy,
}

async fn connect() -> Outcome<(Client, tokio::sync::mpsc::UnboundedReceiver<String>)> {
    let (client, mut connection) = tokio_postgres::connect(&std::env::var("TIDEMILL_DSN")?, NoTls).await?;
    let (send, receive) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notice(notice) = message {
                let _ = send.send(notice.message().to_owned());
            }
        }
    });
    Ok((client, receive))
}

/// A value comes back as it was sent, both ways in binary.
async fn round_trip<T>(client: &Client, name: &str, value: T) -> Outcome<()>
where
    T: ToSql + Sync + PartialEq + std::fmt::Debug + for<'a> FromSql<'a>,
{
    let row = client.query_one(&format!("SELECT $1::{name}"), &[&value]).await?;
    assert_eq!(row.try_get::<_, T>(0)?, value, "{name}");
    let none = client.query_one(&format!("SELECT $1::{name}"), &[&None::<T>]).await?;
    assert_eq!(none.try_get::<_, Option<T>>(0)?, None, "{name}");
    Ok(())
}

async fn types(client: &Client) -> Outcome<()> {
    round_trip(client, "boolean", true).await?;
    round_trip(client, "smallint", -7i16).await?;
    round_trip(client, "integer", i32::MIN).await?;
    round_trip(client, "bigint", i64::MAX).await?;
    round_trip(client, "oid", u32::MAX).await?;
    round_trip(client, "real", 1.5f32).await?;
    round_trip(client, "double precision", f64::MIN_POSITIVE).await?;
    round_trip(client, "numeric", "-123456789.012300".parse::<Decimal>()?).await?;
    round_trip(client, "text", "é'\\\n".to_owned()).await?;
    round_trip(client, "varchar(5)", "abc".to_owned()).await?;
    round_trip(client, "name", "n".to_owned()).await?;
    round_trip(client, "\"char\"", b'x' as i8).await?;
    round_trip(client, "bytea", vec![0u8, 255, 39]).await?;
    round_trip(client, "uuid", Uuid::from_u128(5)).await?;
    round_trip(client, "jsonb", serde_json::json!({"a": [1, null, "x"]})).await?;
    round_trip(client, "json", serde_json::json!({"a": 1})).await?;
    round_trip(client, "date", NaiveDate::from_ymd_opt(1999, 12, 31).unwrap()).await?;
    round_trip(client, "time", NaiveTime::from_hms_micro_opt(23, 59, 59, 999_999).unwrap()).await?;
    let at = NaiveDateTime::parse_from_str("2024-02-29 12:34:56.789", "%Y-%m-%d %H:%M:%S%.f")?;
    round_trip(client, "timestamp", at).await?;
    round_trip(client, "timestamptz", at.and_utc()).await?;
    round_trip(client, "integer[]", vec![Some(1), None, Some(3)]).await?;
    round_trip(client, "text[]", vec!["a,\"b\"".to_owned(), String::new()]).await?;
    round_trip(client, "numeric[]", vec!["1.10".parse::<Decimal>()?]).await?;
    round_trip(client, "timestamptz[]", vec![at.and_utc()]).await?;
    round_trip(client, "uuid[]", vec![Uuid::nil()]).await?;
    round_trip(client, "jsonb[]", vec![serde_json::json!(1)]).await?;
    round_trip(client, "bytea[]", vec![vec![1u8]]).await?;
    client.batch_execute("DROP TYPE IF EXISTS tp_mood; CREATE TYPE tp_mood AS ENUM ('sad', 'happy')").await?;
    round_trip(client, "tp_mood", Mood::Happy).await?;
    round_trip(client, "tp_mood[]", vec![Mood::Sad, Mood::Happy]).await?;
    let statement = client.prepare("SELECT 'sad'::tp_mood AS m, ARRAY['happy'::tp_mood], '[1,5)'::int4range, $1::tp_mood").await?;
    let column = &statement.columns()[0];
    assert_eq!((column.name(), column.type_().kind()), ("m", &Kind::Enum(vec!["sad".into(), "happy".into()])));
    assert!(matches!(statement.columns()[1].type_().kind(), Kind::Array(element) if element.name() == "tp_mood"));
    assert!(matches!(statement.columns()[2].type_().kind(), Kind::Range(element) if *element == Type::INT4));
    assert_eq!(statement.params()[0].name(), "tp_mood");
    let row = client.query_one("SELECT 1::int8 AS a, NULL::text AS b, $1::jsonb AS c", &[&Json(serde_json::json!([1]))]).await?;
    assert_eq!(row.get::<_, i64>("a"), 1);
    assert!(row.try_get::<_, String>("b").is_err() && row.try_get::<_, i32>("a").is_err());
    // A driver that knows a type only as text asks for the text format of that parameter.
    let typed = client.prepare_typed("SELECT $1 + 1", &[Type::INT8]).await?;
    assert_eq!(client.query_one(&typed, &[&41i64]).await?.get::<_, i64>(0), 42);
    let rows = client.query_typed("SELECT $1 || 'x', $2", &[(&"a", Type::TEXT), (&7i32, Type::INT4)]).await?;
    assert_eq!((rows[0].get::<_, &str>(0), rows[0].get::<_, i32>(1)), ("ax", 7));
    Ok(())
}

async fn copies(client: &Client) -> Outcome<()> {
    client.batch_execute("DROP TABLE IF EXISTS tp_copy CASCADE; CREATE TABLE tp_copy (id int, t text, n numeric, at timestamptz, a int[])").await?;
    let columns = [Type::INT4, Type::TEXT, Type::NUMERIC, Type::TIMESTAMPTZ, Type::INT4_ARRAY];
    let at: DateTime<Utc> = "2024-01-02T03:04:05.123456Z".parse()?;
    let sink = client.copy_in("COPY tp_copy FROM STDIN (FORMAT BINARY)").await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &columns));
    for i in 0..1000i32 {
        let text = (i % 3 != 0).then(|| format!("t{i}"));
        writer.as_mut().write(&[&i, &text, &Decimal::new(i64::from(i), 2), &at, &vec![Some(i), None]]).await?;
    }
    assert_eq!(writer.finish().await?, 1000);
    let stream = client.copy_out("COPY (SELECT * FROM tp_copy WHERE id < 10 ORDER BY id) TO STDOUT (FORMAT BINARY)").await?;
    let rows: Vec<_> = BinaryCopyOutStream::new(stream, &columns).try_collect().await?;
    assert_eq!(rows.len(), 10);
    assert_eq!(rows[4].get::<Option<&str>>(1), Some("t4"));
    assert_eq!(rows[3].get::<Option<&str>>(1), None);
    assert_eq!(rows[9].get::<Decimal>(2), Decimal::new(9, 2));
    assert_eq!(rows[9].get::<DateTime<Utc>>(3), at);
    assert_eq!(rows[9].get::<Vec<Option<i32>>>(4), vec![Some(9), None]);
    // Text; given up half way; with a line that is wrong.
    let mut sink = pin!(client.copy_in("COPY tp_copy (id, t) FROM STDIN").await?);
    sink.send(bytes::Bytes::from_static(b"5000\thalf\n5001")).await?;
    sink.send(bytes::Bytes::from_static(b"\tx\n")).await?;
    assert_eq!(sink.as_mut().finish().await?, 2);
    {
        let mut abandoned = pin!(client.copy_in::<_, bytes::Bytes>("COPY tp_copy (id) FROM STDIN").await?);
        abandoned.send(bytes::Bytes::from_static(b"6000\n")).await?;
    }
    let mut sink = pin!(client.copy_in("COPY tp_copy (id) FROM STDIN").await?);
    sink.send(bytes::Bytes::from_static(b"seven\n")).await?;
    let error = sink.as_mut().finish().await.expect_err("not a number");
    assert_eq!(error.code(), Some(&SqlState::INVALID_TEXT_REPRESENTATION));
    assert_eq!(client.query_one("SELECT count(*) FROM tp_copy", &[]).await?.get::<_, i64>(0), 1002);
    let bytes: Vec<bytes::Bytes> = client.copy_out("COPY (SELECT id, t FROM tp_copy WHERE id >= 5000 ORDER BY id) TO STDOUT (FORMAT CSV)").await?.try_collect().await?;
    assert_eq!(bytes.concat(), b"5000,half\n5001,x\n");
    Ok(())
}

async fn transactions(client: &mut Client) -> Outcome<()> {
    client.batch_execute("DROP TABLE IF EXISTS tp_t CASCADE; CREATE TABLE tp_t (id int PRIMARY KEY, t text)").await?;
    let mut transaction = client.transaction().await?;
    let insert = transaction.prepare("INSERT INTO tp_t VALUES ($1, $2) RETURNING id").await?;
    assert_eq!(insert.columns()[0].type_(), &Type::INT4);
    for i in 0..100i32 {
        transaction.query_one(&insert, &[&i, &format!("t{i}")]).await?;
    }
    let savepoint = transaction.transaction().await?;
    assert_eq!(savepoint.execute("DELETE FROM tp_t WHERE id < 50", &[]).await?, 50);
    savepoint.rollback().await?;
    let savepoint = transaction.savepoint("again").await?;
    let error = savepoint.execute("INSERT INTO tp_t VALUES (1, 'twice')", &[]).await.expect_err("a key twice");
    assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION));
    savepoint.rollback().await?;
    // Portals: two are read in turn.
    let statement = transaction.prepare("SELECT id FROM tp_t WHERE id % 2 = $1 ORDER BY id").await?;
    let (even, odd) = (transaction.bind(&statement, &[&0i32]).await?, transaction.bind(&statement, &[&1i32]).await?);
    let mut seen = Vec::new();
    for _ in 0..5 {
        for portal in [&even, &odd] {
            seen.extend(transaction.query_portal(portal, 10).await?.iter().map(|row| row.get::<_, i32>(0)));
        }
    }
    assert!(transaction.query_portal(&even, 10).await?.is_empty());
    assert_eq!(seen.len(), 100);
    assert_eq!(&seen[8..12], [16, 18, 1, 3]);
    transaction.commit().await?;
    let read_only = client.build_transaction().read_only(true).start().await?;
    let error = read_only.execute("DELETE FROM tp_t", &[]).await.expect_err("read only");
    assert_eq!(error.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
    drop(read_only);
    assert_eq!(client.query_one("SELECT count(*) FROM tp_t", &[]).await?.get::<_, i64>(0), 100);
    Ok(())
}

async fn pipelines(client: &Client) -> Outcome<()> {
    let queries = (0..50i32).map(|i| async move {
        let parameters: [&(dyn ToSql + Sync); 1] = [&i];
        client.query_one("SELECT $1::int + 1", &parameters).await
    });
    for (i, row) in future::try_join_all(queries).await?.iter().enumerate() {
        assert_eq!(row.get::<_, i32>(0), i as i32 + 1);
    }
    // One fails: those before and after it do not.
    let (before, wrong, after) = tokio::join!(
        client.query_one("SELECT 1", &[]),
        client.query_one("SELECT 1 / 0", &[]),
        client.query_one("SELECT 2", &[]),
    );
    assert_eq!(wrong.expect_err("division").code(), Some(&SqlState::DIVISION_BY_ZERO));
    assert_eq!((before?.get::<_, i32>(0), after?.get::<_, i32>(0)), (1, 2));
    let messages = client.simple_query("SELECT 1 AS a, NULL AS b; SELECT 'x'; CREATE TABLE IF NOT EXISTS tp_t (id int)").await?;
    let rows: Vec<_> = messages.iter().filter_map(|m| if let SimpleQueryMessage::Row(row) = m { Some(row) } else { None }).collect();
    assert_eq!((rows[0].get("a"), rows[0].get(1), rows[1].get(0)), (Some("1"), None, Some("x")));
    Ok(())
}

async fn errors_and_cancel(client: &Client, notices: &mut tokio::sync::mpsc::UnboundedReceiver<String>) -> Outcome<()> {
    let error = client.query("SELECT nope FROM tp_t", &[]).await.expect_err("no such column");
    let error = error.as_db_error().expect("an error of the server");
    assert_eq!((error.code(), error.severity(), error.message()), (&SqlState::UNDEFINED_COLUMN, "ERROR", "column \"nope\" does not exist"));
    assert!(matches!(error.position(), Some(tokio_postgres::error::ErrorPosition::Original(8))));
    for statement in ["LISTEN news", "NOTIFY news, 'x'"] {
        let error = client.batch_execute(statement).await.expect_err(statement);
        assert_eq!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED), "{statement}: {error}");
    }
    // Nothing is listened to: there is nothing to end.
    client.batch_execute("UNLISTEN *; UNLISTEN news").await?;
    client.batch_execute("DROP TABLE IF EXISTS tp_never_was").await?;
    let notice = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            match notices.recv().await {
                Some(notice) if notice.contains("tp_never_was") => return notice,
                Some(_) => {}
                None => return String::new(),
            }
        }
    });
    assert_eq!(notice.await?, "table \"tp_never_was\" does not exist, skipping");
    let token = client.cancel_token();
    let cancel = async {
        // Until it is running there is nothing to cancel: again and again.
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            token.cancel_query(NoTls).await.expect("cancel");
        }
    };
    let sleeping = client.query("SUBSCRIBE (SELECT id FROM tp_t WHERE id < 0)", &[]);
    tokio::select! {
        outcome = sleeping => assert_eq!(outcome.expect_err("cancelled").code(), Some(&SqlState::QUERY_CANCELED)),
        () = cancel => unreachable!(),
    }
    Ok(())
}

/// SUBSCRIBE in a stream of rows, until it is cancelled.
async fn subscribe(client: &Client) -> Outcome<()> {
    client.batch_execute("DROP TABLE IF EXISTS tp_s CASCADE; CREATE TABLE tp_s (id int); INSERT INTO tp_s VALUES (1)").await?;
    let (writer, _notices) = connect().await?;
    let token = client.cancel_token();
    let mut rows = pin!(client.query_raw("SUBSCRIBE tp_s", std::iter::empty::<&i32>()).await?);
    assert_eq!(rows.try_next().await?.expect("a row").get::<_, i32>("id"), 1);
    writer.batch_execute("INSERT INTO tp_s VALUES (2)").await?;
    let row = rows.try_next().await?.expect("a row");
    assert_eq!((row.get::<_, i32>("id"), row.get::<_, i64>("mz_diff")), (2, 1));
    token.cancel_query(NoTls).await?;
    let error = loop {
        match rows.try_next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the end"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let (mut client, mut notices) = connect().await?;
    types(&client).await?;
    copies(&client).await?;
    transactions(&mut client).await?;
    pipelines(&client).await?;
    errors_and_cancel(&client, &mut notices).await?;
    subscribe(&client).await?;
    assert_eq!(client.query_one("SELECT 1", &[]).await?.get::<_, i32>(0), 1);
    println!("ok");
    Ok(())
}
