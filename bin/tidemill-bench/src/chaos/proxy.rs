//! The line between Tidemill and its upstream, with weather: it delays, stalls, refuses and cuts.

use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to bytes on the line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Each piece waits so long.
    pub delay: Duration,
    /// Nothing passes.
    pub stalled: bool,
    /// New connections are closed at once.
    pub refuses: bool,
    /// Goes up to cut all connections, amid a message if need be.
    pub cuts: u64,
}

/// A proxy that ends with its value.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    weather: watch::Sender<Weather>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Starts one in front of a port.
    pub async fn start(upstream: u16) -> Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (weather, now) = watch::channel(Weather::default());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !now.borrow().refuses {
                    tokio::spawn(serve(client, upstream, now.clone()));
                }
            }
        });
        Ok(Proxy { port, weather, task })
    }

    /// Changes the weather.
    pub fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(change);
    }

    /// Nothing disturbs the line any more.
    pub fn calm(&self) {
        self.change(|weather| *weather = Weather { cuts: weather.cuts, ..Weather::default() });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(client: TcpStream, upstream: u16, weather: watch::Receiver<Weather>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let cuts = weather.borrow().cuts;
    let cut = {
        let mut weather = weather.clone();
        async move {
            let _ = weather.wait_for(|weather| weather.cuts != cuts).await;
        }
    };
    tokio::select! {
        () = cut => {}
        () = pump(from_client, to_server, weather.clone()) => {}
        () = pump(from_server, to_client, weather) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length) = from.read(&mut buffer).await {
        if length == 0 || weather.wait_for(|weather| !weather.stalled).await.is_err() {
            return;
        }
        let delay = weather.borrow().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        // In two pieces, so that a cut falls amid a message.
        let (first, second) = buffer[..length].split_at(length / 2);
        if to.write_all(first).await.is_err() || to.write_all(second).await.is_err() {
            return;
        }
    }
}
