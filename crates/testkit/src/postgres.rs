//! A private PostgreSQL server for a test: its own data directory and port, gone with the test.

use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A running server. It listens on 127.0.0.1, trusts everybody (user `postgres`, database
/// `postgres`), and is set up for logical replication.
#[derive(Debug)]
pub struct PrivatePostgres {
    /// The port it listens on.
    pub port: u16,
    directory: PathBuf,
    binaries: PathBuf,
    settings: Vec<String>,
    user: Option<(u32, u32)>,
    server: Option<Child>,
}

fn failed(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}

/// Where `initdb` and `postgres` are: `TIDEMILL_POSTGRES_BIN`, Debian's newest, or what
/// `pg_config` says.
pub fn find_binaries() -> io::Result<PathBuf> {
    if let Some(given) = std::env::var_os("TIDEMILL_POSTGRES_BIN") {
        return Ok(given.into());
    }
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, path)| path.join("initdb").exists())
        .collect();
    found.sort();
    if let Some((_, path)) = found.pop() {
        return Ok(path);
    }
    let output = Command::new("pg_config").arg("--bindir").output()?;
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if path.join("initdb").exists() { Ok(path) } else { Err(failed("no PostgreSQL server found")) }
}

/// The server refuses to run as root: the user and group to run it as.
fn unprivileged_user() -> io::Result<Option<(u32, u32)>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd")?;
    for name in ["postgres", "nobody"] {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name));
        let ids = line.and_then(|line| {
            let mut fields = line.split(':').skip(2);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        });
        if ids.is_some() {
            return Ok(ids);
        }
    }
    Err(failed("no unprivileged user to run PostgreSQL as"))
}

impl PrivatePostgres {
    /// Starts a server.
    ///
    /// # Errors
    /// There is no PostgreSQL on this machine, or it does not start.
    pub fn start() -> io::Result<PrivatePostgres> {
        PrivatePostgres::start_with(&[])
    }

    /// Starts a server with more settings, each as `name=value`.
    ///
    /// # Errors
    /// There is no PostgreSQL on this machine, or it does not start.
    pub fn start_with(settings: &[&str]) -> io::Result<PrivatePostgres> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // Short, because the path of a Unix socket must be.
        let name = format!("tidemill-pg-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory)?;
        let user = unprivileged_user()?;
        if let Some((uid, gid)) = user {
            chown(&directory, Some(uid), Some(gid))?;
        }
        let mut server = PrivatePostgres {
            port: TcpListener::bind("127.0.0.1:0")?.local_addr()?.port(),
            directory,
            binaries: find_binaries()?,
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            user,
            server: None,
        };
        let mut initdb = server.command("initdb");
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
        initdb.arg("-D").arg(server.data_directory());
        let output = initdb.stdout(Stdio::null()).output()?;
        if !output.status.success() {
            return Err(failed(&String::from_utf8_lossy(&output.stderr)));
        }
        server.resume()?;
        Ok(server)
    }

    /// The data directory.
    pub fn data_directory(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// What the server logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.current_dir(&self.directory).env("LC_ALL", "C").stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Starts the server again after [`PrivatePostgres::stop`] or [`PrivatePostgres::kill`], on
    /// the same port.
    ///
    /// # Errors
    /// It does not start.
    pub fn resume(&mut self) -> io::Result<()> {
        let log =
            fs::OpenOptions::new().create(true).append(true).open(self.directory.join("log"))?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data_directory());
        command.args(["-p", &self.port.to_string(), "-h", "127.0.0.1"]);
        command.arg("-k").arg(&self.directory);
        let standard = ["wal_level=logical", "max_wal_senders=20", "max_replication_slots=20"];
        let quick = ["fsync=off", "max_connections=60", "wal_sender_timeout=20s"];
        for setting in standard.iter().chain(&quick) {
            command.args(["-c", setting]);
        }
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let server = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        self.server = Some(server);
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() && self.psql("SELECT 1").is_ok()
            {
                return Ok(());
            }
            if let Some(server) = &mut self.server
                && server.try_wait()?.is_some()
            {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(failed(&format!("PostgreSQL does not start: {}", self.log())))
    }

    /// Runs SQL with psql in database `postgres`; gives what it prints: a line a row, columns
    /// separated by `|`.
    ///
    /// # Errors
    /// What the server or psql says.
    pub fn psql(&self, sql: &str) -> io::Result<String> {
        let mut command = self.command("psql");
        command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]);
        command.args(["-U", "postgres", "-d", "postgres", "-p", &self.port.to_string()]);
        let output = command.args(["-c", sql]).output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
        }
        Err(failed(&String::from_utf8_lossy(&output.stderr)))
    }

    /// Stops the server as `pg_ctl stop -m fast` does.
    pub fn stop(&mut self) {
        self.signal("INT");
    }

    /// Stops the server at once, as a crash does.
    pub fn kill(&mut self) {
        self.signal("QUIT");
    }

    fn signal(&mut self, signal: &str) {
        let Some(mut server) = self.server.take() else { return };
        let pid = server.id().to_string();
        let _ = Command::new("kill").args(["-s", signal, &pid]).status();
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if matches!(server.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = server.kill();
        let _ = server.wait();
    }

    /// Where the Unix socket is.
    pub fn socket_directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
