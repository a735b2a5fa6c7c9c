//! Private servers: a PostgreSQL and a Tidemill, each in a directory of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::session::Session;

/// The user whom Tidemill knows from the start.
pub const TIDEMILL_USER: &str = "materialize";
/// The user who owns the upstream.
pub const UPSTREAM_USER: &str = "postgres";

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A PostgreSQL server that ends with its value.
pub struct Postgres {
    directory: TempDir,
    /// Where it listens.
    pub port: u16,
    /// Its version, such as 15.
    pub version: u32,
}

impl Postgres {
    /// Starts one.
    pub async fn start() -> Result<Postgres> {
        let directory = tempfile::Builder::new().prefix("tidemill-sqltest-pg-").tempdir()?;
        set_searchable(directory.path())?;
        let port = script("start", &directory.path().join("data"))?;
        let mut postgres = Postgres { directory, port: port.trim().parse()?, version: 0 };
        let version = postgres.session("postgres").await?.run("SHOW server_version_num").await;
        let version = version.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        let number = version.rows.first().and_then(|row| row.first()?.as_ref());
        postgres.version = number.context("a server without a version")?.parse::<u32>()? / 10_000;
        Ok(postgres)
    }

    /// Ends it with SIGKILL and starts it again where it was.
    pub fn kill_and_start(&self) -> Result<()> {
        script("kill", &self.data())?;
        script("start", &self.data())?;
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A session in a database.
    pub async fn session(&self, database: &str) -> Result<Session> {
        Session::open(self.port, UPSTREAM_USER, database).await
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = script("stop", &self.data());
    }
}

/// The temporary directory must be open to the unprivileged user who runs PostgreSQL.
fn set_searchable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn script(action: &str, directory: &Path) -> Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(root.join("tools/private-postgres"))
        .arg(action)
        .arg(directory)
        .env("TIDEMILL_PG_FSYNC", "off")
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
    internal_port: u16,
}

impl Tidemill {
    /// Starts one on an empty directory.
    pub async fn start(program: &Path) -> Result<Tidemill> {
        let directory = tempfile::Builder::new().prefix("tidemill-sqltest-").tempdir()?;
        let (port, internal_port) = (free_port()?, free_port()?);
        let child = spawn(program, directory.path(), port, internal_port)?;
        let program = program.to_owned();
        let mut server = Tidemill { program, directory, child, port, internal_port };
        server.ready().await?;
        Ok(server)
    }

    /// Asks it to end (SIGTERM) or kills it (SIGKILL), and starts it again where it was.
    pub async fn restart(&mut self, gently: bool) -> Result<()> {
        if gently {
            let id = self.child.id().to_string();
            Command::new("kill").args(["-TERM", &id]).status()?;
            let deadline = Instant::now() + Duration::from_secs(20);
            while self.child.try_wait()?.is_none() && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        self.child.kill()?;
        self.child.wait()?;
        self.child = spawn(&self.program, self.directory.path(), self.port, self.internal_port)?;
        self.ready().await
    }

    async fn ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Ok(session) = self.session("materialize").await
                && session.run("SELECT 1").await.is_ok()
            {
                return Ok(());
            }
            if let Some(death) = self.death() {
                bail!("{death}");
            }
            if Instant::now() > deadline {
                bail!("the server did not get ready within a minute:\n{}", self.last_lines());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A session in a database.
    pub async fn session(&self, database: &str) -> Result<Session> {
        Session::open(self.port, TIDEMILL_USER, database).await
    }

    /// Connects as another user; system users at the internal port.
    pub async fn session_of(&self, user: &str, database: &str) -> Result<Session> {
        let port = if user.starts_with("mz_") { self.internal_port } else { self.port };
        Session::open(port, user, database).await
    }

    /// How it ended, with the last lines of its log, if it did.
    pub fn death(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        Some(format!("the server ended with {status}:\n{}", self.last_lines()))
    }

    /// Fails if a text is anywhere in the server's files or its log.
    pub fn must_not_hold(&self, text: &str) -> Result<()> {
        let mut directories = vec![self.directory.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory)? {
                let path = entry?.path();
                if path.is_dir() {
                    directories.push(path);
                    continue;
                }
                let bytes = std::fs::read(&path).unwrap_or_default();
                if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                    bail!("\"{text}\" is in {}", path.display());
                }
            }
        }
        Ok(())
    }

    fn last_lines(&self) -> String {
        let log = std::fs::read_to_string(self.directory.path().join("server.log"));
        let log = log.unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Tidemill {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &Path, directory: &Path, port: u16, internal_port: u16) -> Result<Child> {
    let log =
        std::fs::OpenOptions::new().create(true).append(true).open(directory.join("server.log"))?;
    let mut command = Command::new(program);
    command
        .arg("--data-dir")
        .arg(directory.join("data"))
        .arg("--sql-listen")
        .arg(format!("127.0.0.1:{port}"))
        .arg("--internal-sql-listen")
        .arg(format!("127.0.0.1:{internal_port}"))
        .args(["--http-listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    command.spawn().with_context(|| format!("start {}", program.display()))
}
