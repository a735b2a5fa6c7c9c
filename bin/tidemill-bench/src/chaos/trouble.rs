//! What disturbs: the weather on the line, servers that are killed, and changes of what is followed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Mutex;

use super::proxy::Proxy;
use super::schema::{Followed, Identity, PUBLICATION, TABLES, create, names, oid};
use crate::servers::{Postgres, Tidemill, connect};

/// The servers and the line between them.
pub struct World {
    /// The upstream.
    pub upstream: Postgres,
    /// The server under test.
    pub tidemill: Mutex<Tidemill>,
    /// Its port.
    pub port: u16,
    /// The line.
    pub proxy: Proxy,
    /// What should be followed.
    pub followed: Mutex<Vec<Followed>>,
    /// Whether to print what is done.
    pub verbose: bool,
}

impl World {
    fn say(&self, what: &str) {
        if self.verbose {
            println!("    {what}");
        }
    }
}

/// Makes trouble until it is told to stop.
pub async fn disturb(world: Arc<World>, seed: u64, stop: Arc<AtomicBool>) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    while !stop.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(random.random_range(100..1500))).await;
        match random.random_range(0..16) {
            0..3 => world.proxy.change(|weather| weather.cuts += 1),
            3..5 => {
                let delay = Duration::from_millis(random.random_range(1..40));
                world.say(&format!("the line is slow: {delay:?}"));
                world.proxy.change(|weather| weather.delay = delay);
            }
            5..8 => world.proxy.calm(),
            8..10 => {
                let pause = Duration::from_millis(random.random_range(200..4000));
                world.say(&format!("the line is still for {pause:?}"));
                world.proxy.change(|weather| weather.stalled = true);
                tokio::time::sleep(pause).await;
                let cut = u64::from(random.random_bool(0.5));
                world.proxy.change(|weather| {
                    weather.stalled = false;
                    weather.cuts += cut;
                });
            }
            10 => {
                world.proxy.change(|weather| {
                    weather.refuses = true;
                    weather.cuts += 1;
                });
                tokio::time::sleep(Duration::from_millis(random.random_range(100..1500))).await;
                world.proxy.change(|weather| weather.refuses = false);
            }
            11..14 => {
                world.say("kill -9 of the server");
                let mut tidemill = world.tidemill.lock().await;
                tidemill.kill()?;
                tidemill.restart().await?;
            }
            14 => {
                world.say("kill -9 of the upstream");
                tokio::task::block_in_place(|| {
                    world.upstream.kill()?;
                    world.upstream.restart()
                })?;
            }
            _ => {
                world.say("restart of the upstream");
                tokio::task::block_in_place(|| {
                    world.upstream.stop_fast()?;
                    world.upstream.restart()
                })?;
            }
        }
    }
    world.proxy.calm();
    Ok(())
}

/// Changes what is followed, until it is told to stop. What fails is tried again at the end of
/// the round ([`create_missing`]).
pub async fn follow_otherwise(world: Arc<World>, seed: u64, stop: Arc<AtomicBool>) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut number = seed % 1000 * 1000;
    while !stop.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(random.random_range(300..2500))).await;
        number += 1;
        let deed = one_change(&world, &mut random, number);
        // A line that stands still must not keep the round from its end.
        match tokio::time::timeout(Duration::from_secs(15), deed).await {
            Ok(Err(error)) => world.say(&format!("not done: {error:#}")),
            Ok(Ok(())) => {}
            Err(_) => world.say("not done in time"),
        }
    }
    Ok(())
}

async fn one_change(world: &World, random: &mut StdRng, number: u64) -> Result<()> {
    let client = connect(world.port, "materialize", "materialize").await?;
    let upstream = world.upstream.client().await?;
    upstream.batch_execute("SET lock_timeout = '3s'").await?;
    let followed = world.followed.lock().await.clone();
    let any = followed[random.random_range(0..followed.len())].clone();
    match random.random_range(0..10) {
        0..3 => {
            world.say(&format!("RESYNC of {}", any.here));
            client.batch_execute(&format!("ALTER TABLE {} RESYNC", any.here)).await?;
        }
        3 | 4 if followed.len() < 10 => {
            let identities = [Identity::Full, Identity::Default, Identity::Index, Identity::Plain];
            let identity = identities[random.random_range(0..4)];
            let name = match identity {
                Identity::Plain => format!("t_plain{number}"),
                _ => format!("extra{number}"),
            };
            let rows = random.random_range(0..4000);
            let mut statements = create(&name, identity, rows);
            statements.push(format!("ALTER PUBLICATION {PUBLICATION} ADD TABLE {name}"));
            upstream.batch_execute(&statements.join(";")).await?;
            world.say(&format!("new table {name}, {identity:?}"));
            let oid = oid(&upstream, &name).await?;
            world.followed.lock().await.push(Followed { here: name.clone(), oid });
            create_missing(world, &client).await?;
        }
        5 if followed.len() < 10 => {
            // The same upstream table once more.
            let here = format!("again{number}");
            world.say(&format!("{} once more, as {here}", any.here));
            world.followed.lock().await.push(Followed { here, oid: any.oid });
            create_missing(world, &client).await?;
        }
        6 | 7 if !TABLES.contains(&any.here.as_str()) => {
            world.say(&format!("DROP of {}", any.here));
            client.batch_execute(&format!("DROP TABLE IF EXISTS {}", any.here)).await?;
            if random.random_bool(0.7) {
                world.followed.lock().await.retain(|table| *table != any);
            }
        }
        8 => {
            let now = names(&upstream).await?;
            let Some(now) = now.iter().find(|names| names.oid == any.oid) else { return Ok(()) };
            let table = &now.table;
            world.say(&format!("{table} leaves the publication and comes back"));
            let drop = format!("ALTER PUBLICATION {PUBLICATION} DROP TABLE {table}");
            let add = format!("ALTER PUBLICATION {PUBLICATION} ADD TABLE {table}");
            upstream.batch_execute(&drop).await?;
            tokio::time::sleep(Duration::from_millis(random.random_range(0..3000))).await;
            upstream.batch_execute(&add).await?;
        }
        _ => {}
    }
    Ok(())
}

/// Puts the tables that are followed back into the publication: a server that was killed may have
/// taken the statement that wanted to with it.
pub async fn publish_missing(world: &World) -> Result<()> {
    let upstream = world.upstream.client().await?;
    let missing = format!(
        "SELECT oid::regclass::text FROM pg_class WHERE oid = ANY ($1) AND NOT EXISTS (SELECT 1 FROM \
         pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = pg_class.oid \
         AND p.pubname = '{PUBLICATION}')"
    );
    let followed: Vec<u32> = world.followed.lock().await.iter().map(|table| table.oid).collect();
    for row in upstream.query(&missing, &[&followed]).await? {
        let table: String = row.get(0);
        world.say(&format!("{table} comes back to the publication at last"));
        let add = format!("ALTER PUBLICATION {PUBLICATION} ADD TABLE {table}");
        upstream.batch_execute(&add).await?;
    }
    Ok(())
}

/// Creates here what should be followed and is not.
pub async fn create_missing(world: &World, client: &tokio_postgres::Client) -> Result<()> {
    let upstream = world.upstream.client().await?;
    let names = names(&upstream).await?;
    for table in world.followed.lock().await.iter() {
        let Some(now) = names.iter().find(|names| names.oid == table.oid) else { continue };
        // Columns that were added may be dropped again.
        let without = match now.added.is_empty() {
            true => String::new(),
            false => format!(" WITH (EXCLUDE COLUMNS ({}))", now.added.join(", ")),
        };
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {} FROM SOURCE upstream (REFERENCE public.{}){without}",
            table.here, now.table
        );
        client.batch_execute(&create).await?;
    }
    Ok(())
}
