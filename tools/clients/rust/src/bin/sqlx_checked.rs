//! sqlx's macros: each statement is checked, while this is compiled, by the running server.
use rust_decimal::Decimal;
use sqlx::PgPool;

#[derive(Debug, PartialEq, sqlx::Type)]
#[sqlx(type_name = "sqlx_status", rename_all = "lowercase")]
enum Status {
    Open,
    Paid,
}

struct Total {
    customer: String,
    n: Option<i64>,
    total: Option<Decimal>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = PgPool::connect(&std::env::var("TIDEMILL_DSN")?).await?;
    let inserted = sqlx::query!("INSERT INTO sqlx_orders (id, customer, amount, tags) VALUES ($1, $2, $3, $4) RETURNING id, amount", 1000, "macro", Decimal::ONE, &["t".to_owned()])
        .fetch_one(&pool)
        .await?;
    let (id, amount): (i32, Option<Decimal>) = (inserted.id, inserted.amount);
    assert_eq!((id, amount), (1000, Some(Decimal::ONE)));
    let orders = sqlx::query!("SELECT id, customer, amount, tags FROM sqlx_orders WHERE id = $1", 1000).fetch_all(&pool).await?;
    let (customer, tags): (&String, &Vec<String>) = (&orders[0].customer, &orders[0].tags);
    assert_eq!((customer.as_str(), tags.len()), ("macro", 1));
    let total = sqlx::query_as!(Total, r#"SELECT customer AS "customer!", n, total FROM sqlx_totals WHERE customer = $1"#, "macro").fetch_one(&pool).await?;
    assert_eq!((total.customer.as_str(), total.n, total.total), ("macro", Some(1), Some(Decimal::ONE)));
    let one: Option<i32> = sqlx::query_scalar!("SELECT 1 AS one").fetch_one(&pool).await?;
    assert_eq!(one, Some(1));
    let states = sqlx::query!(r#"SELECT status AS "status: Status", data, at, key FROM sqlx_states WHERE status = $1"#, Status::Paid as Status).fetch_all(&pool).await?;
    assert_eq!(states[0].status, Some(Status::Paid));
    let joined = sqlx::query!("SELECT o.id, s.key FROM sqlx_orders o LEFT JOIN sqlx_states s ON s.id = o.id WHERE o.id = 1000").fetch_one(&pool).await?;
    assert_eq!((joined.id, joined.key), (1000, None));
    sqlx::query!("DELETE FROM sqlx_orders WHERE id = $1", 1000).execute(&pool).await?;
    assert_ne!(Status::Open, Status::Paid);
    println!("ok");
    Ok(())
}
