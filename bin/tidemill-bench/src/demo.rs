//! The demo's tour: follow the shop, create four views of increasing difficulty and an index,
//! then show one of them live beside the same query run by PostgreSQL.

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::StreamExt;
use tokio_postgres::Client;

use crate::servers::{connect, first_value};
use crate::shop;

/// The statements of the tour after the connection, with what is said of them.
const TOUR: &[(&str, &str)] = &[
    ("The last order", "CREATE MATERIALIZED VIEW last_order AS SELECT max(id) AS id FROM orders"),
    (
        "A view that filters and counts",
        "CREATE VIEW open_orders AS SELECT customer_id, count(*) AS orders FROM orders \
         WHERE status <> 'shipped' GROUP BY customer_id",
    ),
    (
        "A join of four tables, kept up to date",
        "CREATE MATERIALIZED VIEW revenue_by_country AS \
         SELECT country, count(DISTINCT orders.id) AS orders, sum(quantity * price) AS revenue \
         FROM orders JOIN order_lines ON order_id = orders.id \
         JOIN products ON products.id = product_id \
         JOIN customers ON customers.id = customer_id GROUP BY country",
    ),
    (
        "The three best sellers of each category",
        "CREATE MATERIALIZED VIEW best_sellers AS \
         SELECT categories.category, best.name, best.sold \
         FROM (SELECT DISTINCT category FROM products) AS categories, LATERAL ( \
             SELECT products.name, sum(quantity) AS sold FROM products \
             JOIN order_lines ON product_id = products.id \
             WHERE products.category = categories.category \
             GROUP BY products.id, products.name \
             ORDER BY sold DESC, products.name LIMIT 3) AS best",
    ),
    (
        "Customers above the average of their country: correlated subqueries",
        "CREATE VIEW good_customers AS SELECT customers.id, name, country, \
         (SELECT max(placed) FROM orders WHERE customer_id = customers.id) AS last_order \
         FROM customers JOIN open_orders ON customer_id = customers.id \
         WHERE open_orders.orders > (SELECT avg(others.orders) FROM open_orders AS others \
             JOIN customers AS peers ON peers.id = others.customer_id \
             WHERE peers.country = customers.country)",
    ),
    (
        "An index, so that a customer is looked up in microseconds",
        "CREATE INDEX good_customers_by_id ON good_customers (id)",
    ),
];

/// The query that is shown live, as PostgreSQL runs it.
const LIVE: &str = "SELECT country, count(DISTINCT orders.id) AS orders, \
    sum(quantity * price) AS revenue \
    FROM orders JOIN order_lines ON order_id = orders.id \
    JOIN products ON products.id = product_id \
    JOIN customers ON customers.id = customer_id GROUP BY country ORDER BY country";

/// Runs the tour and shows the view.
pub async fn run(upstream_port: u16, port: u16, seconds: u64) -> Result<()> {
    let client = connect(port, "materialize", "materialize").await?;
    let upstream = connect(upstream_port, "postgres", shop::DATABASE).await?;
    for statement in [
        "CREATE SECRET shop_password AS 'demo'".to_owned(),
        format!(
            "CREATE CONNECTION shop_connection TO POSTGRES (HOST '127.0.0.1', PORT {upstream_port}, \
             USER '{}', PASSWORD SECRET shop_password, DATABASE '{}')",
            shop::USER,
            shop::DATABASE
        ),
        format!(
            "CREATE SOURCE shop FROM POSTGRES CONNECTION shop_connection (PUBLICATION '{}')",
            shop::PUBLICATION
        ),
    ] {
        tell(&client, &statement).await?;
    }
    for table in shop::TABLES {
        let statement = format!("CREATE TABLE {table} FROM SOURCE shop (REFERENCE public.{table})");
        tell(&client, &statement).await?;
    }
    snapshot_progress(&client).await?;
    for (what, statement) in TOUR {
        println!("\n-- {what}");
        tell(&client, statement).await?;
    }
    live(&client, &upstream, port, seconds).await
}

/// Shows a statement and runs it.
async fn tell(client: &Client, statement: &str) -> Result<()> {
    let start = Instant::now();
    let words: Vec<&str> = statement.split_whitespace().collect();
    client.batch_execute(statement).await.with_context(|| statement.to_owned())?;
    println!("materialize=> {};   -- {:.0?}", words.join(" "), start.elapsed());
    Ok(())
}

/// Shows the progress of the snapshot until it is done.
async fn snapshot_progress(client: &Client) -> Result<()> {
    let start = Instant::now();
    loop {
        let open = first_value(
            client,
            "SELECT count(*) FROM mz_internal.mz_source_statuses \
             WHERE type = 'table' AND status <> 'running'",
        )
        .await?;
        let staged = first_value(
            client,
            "SELECT coalesce(sum(snapshot_records_staged), 0) || ' of about ' || \
             coalesce(sum(snapshot_records_known), 0) \
             FROM mz_internal.mz_source_statistics WHERE snapshot_records_known IS NOT NULL",
        )
        .await?;
        println!("   snapshot: {staged} rows read, {open} tables to go");
        if open == "0" {
            println!("   snapshot done after {:.1?}", start.elapsed());
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Shows the view beside PostgreSQL's answer, and how fresh it is.
async fn live(client: &Client, upstream: &Client, port: u16, seconds: u64) -> Result<()> {
    // The first read waits until the views are complete; from then on they follow.
    for view in ["last_order", "revenue_by_country", "best_sellers", "good_customers"] {
        let rows = first_value(client, &format!("SELECT count(*) FROM {view}")).await?;
        println!("   {view}: {rows} rows");
    }
    println!("\n-- The view, live, beside the same query run by PostgreSQL");
    let changes = connect(port, "materialize", "materialize").await?;
    let watcher = tokio::spawn(count_changes(changes));
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut freshness = Vec::new();
    while Instant::now() < deadline {
        let probe = probe(client, upstream).await?;
        freshness.push(probe);
        show(client, upstream, probe).await?;
        tokio::time::sleep(Duration::from_millis(900)).await;
    }
    watcher.abort();
    freshness.sort_unstable();
    if let (Some(middle), Some(last)) = (freshness.get(freshness.len() / 2), freshness.last()) {
        println!(
            "\nfreshness over {} probes: median {:.1} ms, worst {:.1} ms from COMMIT answered upstream \
             to the change read here; {} changes arrived on SUBSCRIBE meanwhile",
            freshness.len(),
            middle.as_secs_f64() * 1000.0,
            last.as_secs_f64() * 1000.0,
            CHANGES.load(std::sync::atomic::Ordering::Relaxed),
        );
    }
    Ok(())
}

static CHANGES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

async fn count_changes(client: Client) -> Result<()> {
    let rows = client
        .copy_out("COPY (SUBSCRIBE revenue_by_country WITH (SNAPSHOT = false)) TO STDOUT")
        .await?;
    let mut rows = pin!(rows);
    while let Some(piece) = rows.next().await {
        let lines = piece?.iter().filter(|byte| **byte == b'\n').count();
        CHANGES.fetch_add(u64::try_from(lines)?, std::sync::atomic::Ordering::Relaxed);
    }
    Ok(())
}

/// Commits a change upstream and waits until the view here has it.
async fn probe(client: &Client, upstream: &Client) -> Result<Duration> {
    let id: i64 = first_value(
        upstream,
        "INSERT INTO orders (customer_id, placed, status) \
         VALUES (1, now(), 'placed') RETURNING id",
    )
    .await?
    .parse()?;
    let committed = Instant::now();
    while first_value(client, "SELECT id FROM last_order").await?.parse::<i64>()? < id {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    Ok(committed.elapsed())
}

async fn show(client: &Client, upstream: &Client, freshness: Duration) -> Result<()> {
    let ours = crate::servers::sorted_rows(
        client,
        "SELECT country, orders, revenue FROM revenue_by_country",
    )
    .await?;
    let start = Instant::now();
    let theirs = crate::servers::sorted_rows(upstream, LIVE).await?;
    let asked = start.elapsed();
    println!("\n   {:<34} {:<34}", "Tidemill, maintained", "PostgreSQL, asked again");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let mark = if ours == theirs { "=" } else { "~ changed between the two reads" };
        println!("   {ours:<34} {theirs:<34} {mark}");
    }
    println!(
        "   the change was here {:.1} ms after its COMMIT; PostgreSQL's query took {:.1} ms",
        freshness.as_secs_f64() * 1000.0,
        asked.as_secs_f64() * 1000.0
    );
    Ok(())
}
