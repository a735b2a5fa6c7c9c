//! A small shop: its tables, their content, and customers who never sleep.

use std::time::Duration;

use anyhow::Result;
use rand::Rng;
use tokio_postgres::Client;

use crate::servers::connect;

/// The database upstream.
pub const DATABASE: &str = "shop";
/// The user that Tidemill connects as.
pub const USER: &str = "tidemill";
/// The publication.
pub const PUBLICATION: &str = "shop_publication";
/// The tables.
pub const TABLES: &[&str] = &["customers", "products", "orders", "order_lines"];

/// The tables, and some 100,000 rows.
const SCHEMA: &str = "
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, country char(2) NOT NULL,
    since date NOT NULL);
CREATE TABLE products (id int PRIMARY KEY, name text NOT NULL, category text NOT NULL,
    price numeric(10,2) NOT NULL);
CREATE TABLE orders (id bigserial PRIMARY KEY, customer_id int NOT NULL, placed timestamptz NOT NULL,
    status text NOT NULL);
CREATE TABLE order_lines (order_id bigint NOT NULL, line int NOT NULL, product_id int NOT NULL,
    quantity int NOT NULL, PRIMARY KEY (order_id, line));
ALTER TABLE customers REPLICA IDENTITY FULL;
ALTER TABLE products REPLICA IDENTITY FULL;
ALTER TABLE orders REPLICA IDENTITY FULL;
ALTER TABLE order_lines REPLICA IDENTITY FULL;
INSERT INTO customers SELECT n, 'Customer ' || n,
    (ARRAY['DE','FR','PT','SE','NO','IT','ES','NL'])[1 + n % 8], date '2020-01-01' + n % 1500
    FROM generate_series(1, 5000) AS n;
INSERT INTO products SELECT n, 'Product ' || n,
    (ARRAY['books','tools','garden','kitchen','music'])[1 + n % 5], ((n * 7919) % 9000 + 100) / 100.0
    FROM generate_series(1, 500) AS n;
INSERT INTO orders (customer_id, placed, status) SELECT 1 + (n * 31) % 5000,
    timestamptz '2024-01-01 00:00+00' + n * interval '7 minutes',
    (ARRAY['placed','paid','shipped'])[1 + n % 3] FROM generate_series(1, 25000) AS n;
INSERT INTO order_lines SELECT o, l, 1 + (o * 17 + l * 131) % 500, 1 + (o + l) % 4
    FROM generate_series(1, 25000) AS o, generate_series(1, 3) AS l;
CREATE PUBLICATION shop_publication FOR TABLE customers, products, orders, order_lines;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO tidemill;
ANALYZE;
";

/// Creates and fills the shop.
pub async fn load(upstream_port: u16) -> Result<()> {
    let client = connect(upstream_port, "postgres", "postgres").await?;
    client.batch_execute("CREATE ROLE tidemill LOGIN REPLICATION PASSWORD 'demo'").await?;
    client.batch_execute("CREATE DATABASE shop").await?;
    connect(upstream_port, "postgres", DATABASE).await?.batch_execute(SCHEMA).await?;
    Ok(())
}

/// One customer's deed, in one transaction.
pub async fn deed(client: &mut Client) -> Result<()> {
    let (kind, customer, product, quantity, change) = {
        let mut random = rand::rng();
        (
            random.random_range(0..10),
            random.random_range(1..=5000_i32),
            random.random_range(1..=500_i32),
            random.random_range(1..=5_i32),
            random.random_range(-50..=50_i32),
        )
    };
    let transaction = client.transaction().await?;
    match kind {
        0..=5 => {
            let order: i64 = transaction
                .query_one(
                    "INSERT INTO orders (customer_id, placed, status) \
                     VALUES ($1, now(), 'placed') RETURNING id",
                    &[&customer],
                )
                .await?
                .get(0);
            transaction
                .execute(
                    "INSERT INTO order_lines VALUES ($1, 1, $2, $3), ($1, 2, 1 + $2 % 500, 1)",
                    &[&order, &product, &quantity],
                )
                .await?;
        }
        6 | 7 => {
            transaction
                .execute(
                    "UPDATE orders SET status = CASE status WHEN 'placed' THEN 'paid' \
                     ELSE 'shipped' END WHERE id = (SELECT max(id) - $1 FROM orders)",
                    &[&i64::from(quantity)],
                )
                .await?;
        }
        8 => {
            transaction
                .execute(
                    "WITH gone AS (DELETE FROM orders WHERE id = \
                     (SELECT min(id) FROM orders) RETURNING id) \
                     DELETE FROM order_lines USING gone WHERE order_id = gone.id",
                    &[],
                )
                .await?;
        }
        _ => {
            transaction
                .execute(
                    "UPDATE products SET price = greatest(1, price + $1::int / 100.0) WHERE id = $2",
                    &[&change, &product],
                )
                .await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}

/// Deeds at a rate, until the process is stopped.
pub async fn workload(upstream_port: u16, rate: u32) -> Result<()> {
    let mut client = connect(upstream_port, "postgres", DATABASE).await?;
    let mut clock = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
    loop {
        clock.tick().await;
        deed(&mut client).await?;
    }
}
