//! sqlx without a database at compile time: migrations, pools, arrays, enums, records, listeners.
use futures_util::TryStreamExt;
use rust_decimal::Decimal;
use sqlx::migrate::Migrate;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgRow};
use sqlx::{Acquire, Column, Connection, Executor, FromRow, PgConnection, Row, TypeInfo};
use uuid::Uuid;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[derive(Debug, Clone, Copy, PartialEq, sqlx::Type)]
#[sqlx(type_name = "sqlx_status", rename_all = "lowercase")]
enum Status {
    Open,
    Paid,
}

#[derive(Debug, FromRow)]
struct Order {
    id: i32,
    customer: String,
    amount: Option<Decimal>,
    tags: Vec<String>,
}

fn code(error: &sqlx::Error) -> String {
    error.as_database_error().and_then(|e| e.code().map(|c| c.to_string())).unwrap_or_else(|| error.to_string())
}

async fn migrations(dsn: &str) -> Outcome<()> {
    let mut connection = PgConnection::connect(dsn).await?;
    for statement in ["DROP TABLE IF EXISTS sqlx_orders CASCADE", "DROP TABLE IF EXISTS sqlx_states", "DROP TYPE IF EXISTS sqlx_status", "DROP TABLE IF EXISTS _sqlx_migrations"] {
        connection.execute(statement).await?;
    }
    // Who comes second waits for the advisory lock of the first.
    let migrator = sqlx::migrate!("./migrations");
    let mut other = PgConnection::connect(dsn).await?;
    let (first, second) = tokio::join!(migrator.run(&mut connection), migrator.run(&mut other));
    first?;
    second?;
    migrator.run(&mut connection).await?;
    migrator.run(&mut connection).await?;
    let applied = connection.list_applied_migrations().await?;
    assert_eq!(applied.iter().map(|m| m.version).collect::<Vec<_>>(), [1, 2]);
    Ok(())
}

async fn rows(dsn: &str) -> Outcome<()> {
    let options: PgConnectOptions = dsn.parse()?;
    let pool = PgPoolOptions::new().max_connections(4).connect_with(options.application_name("sqlx").statement_cache_capacity(10)).await?;
    let mut transaction = pool.begin().await?;
    for i in 0..20i32 {
        sqlx::query("INSERT INTO sqlx_orders VALUES ($1, $2, $3, $4)")
            .bind(i)
            .bind(format!("c{}", i % 3))
            .bind((i != 7).then(|| Decimal::new(i64::from(i) * 100, 2)))
            .bind(vec!["a".to_owned(), format!("{i}")])
            .execute(&mut *transaction)
            .await?;
    }
    let mut inner = transaction.begin().await?;
    sqlx::query("DELETE FROM sqlx_orders").execute(&mut *inner).await?;
    inner.rollback().await?;
    transaction.commit().await?;
    let many = sqlx::query("INSERT INTO sqlx_orders (id, customer) SELECT * FROM unnest($1::int[], $2::text[]) RETURNING id")
        .bind(vec![100, 101])
        .bind(vec!["x", "y"])
        .fetch_all(&pool)
        .await?;
    assert_eq!(many.len(), 2);
    let orders: Vec<Order> = sqlx::query_as("SELECT * FROM sqlx_orders WHERE id = ANY($1) ORDER BY id").bind(vec![7, 8]).fetch_all(&pool).await?;
    assert_eq!((orders[0].id, orders[0].amount, orders[1].amount), (7, None, Some(Decimal::new(800, 2))));
    assert_eq!((orders[1].customer.as_str(), orders[1].tags.as_slice()), ("c2", &["a".to_owned(), "8".to_owned()][..]));
    let (n, total): (i64, Option<Decimal>) = sqlx::query_as("SELECT n, total FROM sqlx_totals WHERE customer = $1").bind("c0").fetch_one(&pool).await?;
    assert_eq!((n, total), (7, Some(Decimal::new(6300, 2))));
    let count = sqlx::query("SELECT id FROM sqlx_orders ORDER BY id").fetch(&pool).try_fold(0, |count, _: PgRow| async move { Ok(count + 1) }).await?;
    assert_eq!(count, 22);
    let key = Uuid::from_u128(9);
    sqlx::query("INSERT INTO sqlx_states VALUES (1, $1, $2, now(), $3)")
        .bind(Status::Open)
        .bind(sqlx::types::Json(serde_json::json!({"a": [1]})))
        .bind(key)
        .execute(&pool)
        .await?;
    assert_eq!(sqlx::query("UPDATE sqlx_states SET status = $1 WHERE status = 'open'").bind(Status::Paid).execute(&pool).await?.rows_affected(), 1);
    let row = sqlx::query("SELECT status, data, at, key, ARRAY[status] AS all FROM sqlx_states").fetch_one(&pool).await?;
    assert_eq!((row.get::<Status, _>(0), row.get::<Vec<Status>, _>("all"), row.get::<Uuid, _>("key")), (Status::Paid, vec![Status::Paid], key));
    assert!(row.get::<chrono::DateTime<chrono::Utc>, _>("at").timestamp() > 1_600_000_000);
    assert_eq!(row.get::<serde_json::Value, _>("data"), serde_json::json!({"a": [1]}));
    assert_eq!(row.columns()[0].type_info().name(), "sqlx_status");
    let (pair,): ((i32, String),) = sqlx::query_as("SELECT ROW(1, 'x'::text)").fetch_one(&pool).await?;
    assert_eq!(pair, (1, "x".to_owned()));
    let (pairs,): (Vec<(i32, String)>,) = sqlx::query_as("SELECT ARRAY[ROW(1, 'x'::text), ROW(2, 'y'::text)]").fetch_one(&pool).await?;
    assert_eq!(pairs.len(), 2);
    let several = sqlx::raw_sql("SELECT 1; SELECT 2").fetch_all(&pool).await?;
    assert_eq!(several.len(), 2);
    let wrong = sqlx::query("INSERT INTO sqlx_orders VALUES (1, 'twice')").execute(&pool).await.expect_err("a key twice");
    assert!(wrong.as_database_error().expect("of the server").is_unique_violation(), "{wrong}");
    assert_eq!(code(&sqlx::query("SELECT 1 / $1").bind(0).fetch_one(&pool).await.expect_err("division")), "22012");
    let described = pool.describe("SELECT id, customer, amount, id + 1 AS next FROM sqlx_orders WHERE id = $1").await?;
    assert_eq!((0..4).map(|i| described.nullable(i)).collect::<Vec<_>>(), [Some(false), Some(false), Some(true), None]);
    let mut connection = pool.acquire().await?;
    let mut copy = connection.copy_in_raw("COPY sqlx_orders (id, customer) FROM STDIN").await?;
    copy.send(&b"200\tz\n"[..]).await?;
    assert_eq!(copy.finish().await?, 1);
    drop(connection);
    pool.close().await;
    Ok(())
}

async fn listeners(dsn: &str) -> Outcome<()> {
    let mut listener = PgListener::connect(dsn).await?;
    let error = listener.listen("news").await.expect_err("LISTEN");
    assert_eq!(code(&error), "0A000", "{error}");
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let dsn = std::env::var("TIDEMILL_DSN")?;
    migrations(&dsn).await?;
    rows(&dsn).await?;
    listeners(&dsn).await?;
    println!("ok");
    Ok(())
}
