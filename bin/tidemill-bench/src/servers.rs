//! Private servers: a PostgreSQL and a Tidemill, each in a directory of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};

/// A port that nobody listens on.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Connects as a user, and drives the connection in the background.
pub async fn connect(port: u16, user: &str, database: &str) -> Result<Client> {
    let (client, connection) = Config::new()
        .host("127.0.0.1")
        .port(port)
        .user(user)
        .dbname(database)
        .connect(NoTls)
        .await
        .with_context(|| format!("connect to port {port}"))?;
    tokio::spawn(connection);
    Ok(client)
}

/// A PostgreSQL server that ends with its value.
pub struct Postgres {
    directory: TempDir,
    /// Where it listens.
    pub port: u16,
}

impl Postgres {
    /// Starts one.
    pub fn start() -> Result<Postgres> {
        let directory = tempfile::Builder::new().prefix("tidemill-upstream-").tempdir()?;
        set_searchable(directory.path())?;
        let port = script(&["start"], &directory.path().join("data"))?;
        Ok(Postgres { directory, port: port.trim().parse()? })
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// SIGKILL.
    pub fn kill(&self) -> Result<()> {
        script(&["kill"], &self.data()).map(|_| ())
    }

    /// Ends it as an administrator would: sessions are cut, the rest is finished.
    pub fn stop_fast(&self) -> Result<()> {
        script(&["stop-fast"], &self.data()).map(|_| ())
    }

    /// Starts it again where it was.
    pub fn restart(&self) -> Result<()> {
        script(&["start"], &self.data()).map(|_| ())
    }

    /// A client as the superuser.
    pub async fn client(&self) -> Result<Client> {
        connect(self.port, "postgres", "postgres").await
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = script(&["stop"], &self.data());
    }
}

/// The temporary directory must be open to the unprivileged user who runs PostgreSQL.
fn set_searchable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn script(arguments: &[&str], directory: &Path) -> Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(root.join("tools/private-postgres"))
        .args(arguments)
        .arg(directory)
        .env("TIDEMILL_PG_FSYNC", "on")
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        bail!("tools/private-postgres: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// A Tidemill server that ends with its value.
pub struct Tidemill {
    program: PathBuf,
    directory: TempDir,
    child: Child,
    /// Where it speaks SQL.
    pub port: u16,
}

impl Tidemill {
    /// Starts one on an empty directory.
    pub async fn start(program: &Path) -> Result<Tidemill> {
        let directory = tempfile::Builder::new().prefix("tidemill-data-").tempdir()?;
        let port = free_port()?;
        let child = spawn(program, directory.path(), port)?;
        let mut server = Tidemill { program: program.to_owned(), directory, child, port };
        server.ready().await?;
        Ok(server)
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again where it was.
    pub async fn restart(&mut self) -> Result<()> {
        self.child = spawn(&self.program, self.directory.path(), self.port)?;
        self.ready().await
    }

    async fn ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Ok(client) = self.client().await
                && client.simple_query("SELECT 1").await.is_ok()
            {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                let log = std::fs::read_to_string(self.log()).unwrap_or_default();
                bail!("the server ended with {status}:\n{log}");
            }
            if Instant::now() > deadline {
                bail!("the server did not get ready; its log is {}", self.log().display());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Copies the server's log to where it stays.
    pub fn keep(&self) -> Result<PathBuf> {
        let path = std::env::temp_dir().join(format!("tidemill-chaos-{}.log", self.port));
        std::fs::copy(self.log(), &path)?;
        Ok(path)
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("server.log")
    }

    /// A client.
    pub async fn client(&self) -> Result<Client> {
        connect(self.port, "materialize", "materialize").await
    }
}

impl Drop for Tidemill {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &Path, directory: &Path, port: u16) -> Result<Child> {
    let log =
        std::fs::OpenOptions::new().create(true).append(true).open(directory.join("server.log"))?;
    let mut command = Command::new(program);
    command
        .arg("--data-dir")
        .arg(directory.join("data"))
        .arg("--sql-listen")
        .arg(format!("127.0.0.1:{port}"))
        .args(["--internal-sql-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    command.spawn().with_context(|| format!("start {}", program.display()))
}

/// Runs statements one after the other.
pub async fn run_all(client: &Client, statements: &[&str]) -> Result<()> {
    for statement in statements {
        client.batch_execute(statement).await.with_context(|| (*statement).to_owned())?;
    }
    Ok(())
}

/// Runs a query until `accept` says yes to its first value.
pub async fn wait_for(client: &Client, query: &str, accept: impl Fn(&str) -> bool) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut last = String::new();
    while Instant::now() < deadline {
        match first_value(client, query).await {
            Ok(value) if accept(&value) => return Ok(()),
            Ok(value) => last = value,
            Err(error) => last = format!("{error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("still \"{last}\" after two minutes: {query}")
}

/// The first column of the first row, as text; empty without a row.
pub async fn first_value(client: &Client, query: &str) -> Result<String> {
    for message in client.simple_query(query).await.with_context(|| query.to_owned())? {
        if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
            return Ok(row.get(0).unwrap_or("NULL").to_owned());
        }
    }
    Ok(String::new())
}

/// All rows as text, sorted.
pub async fn sorted_rows(client: &Client, query: &str) -> Result<Vec<String>> {
    let mut rows = Vec::new();
    for message in client.simple_query(query).await.with_context(|| query.to_owned())? {
        if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
            let values: Vec<&str> =
                (0..row.len()).map(|column| row.get(column).unwrap_or("NULL")).collect();
            rows.push(values.join("|"));
        }
    }
    rows.sort();
    Ok(rows)
}

/// Statements that let Tidemill follow a publication of an upstream on this machine.
pub fn follow(upstream_port: u16, user: &str, database: &str, publication: &str) -> Vec<String> {
    vec![
        "CREATE SECRET upstream_password AS 'demo'".to_owned(),
        format!(
            "CREATE CONNECTION upstream TO POSTGRES (HOST '127.0.0.1', PORT {upstream_port}, \
             USER '{user}', PASSWORD SECRET upstream_password, DATABASE '{database}')"
        ),
        format!(
            "CREATE SOURCE {database} FROM POSTGRES CONNECTION upstream \
             (PUBLICATION '{publication}')"
        ),
    ]
}
