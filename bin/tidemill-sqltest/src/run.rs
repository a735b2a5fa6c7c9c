//! Running one file: its sessions, its records one after the other, and what disagrees.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use parking_lot::Mutex as PlainMutex;
use sqllogictest::{
    Condition, Connection, Control, DefaultColumnType, ExpectedError, QueryExpect, RetryConfig,
    SortMode, StatementExpect,
};
use tokio::sync::Mutex;

use crate::complete::Answer;
use crate::mirror;
use crate::script::{Directive, Record, Script, Step, skips, skips_version};
use crate::servers::{Postgres, Tidemill, UPSTREAM_USER};
use crate::session::{Failure, Outcome, Session};
use crate::values::{Printing, escape};

/// A Tidemill that several files share; none when only PostgreSQL is asked.
pub type SharedTidemill = Option<Arc<Mutex<Tidemill>>>;

/// What a file runs on.
pub struct Servers {
    /// The server under test.
    pub tidemill: SharedTidemill,
    /// The real upstream, also the judge.
    pub postgres: Arc<Postgres>,
}

/// After so many failures the rest of a file says nothing new.
const MAX_FAILURES: usize = 12;
/// The names by which conditions know Tidemill.
pub const TIDEMILL_LABELS: &[&str] = &["postgresql", "tidemill"];
const UPSTREAM_LABELS: &[&str] = &["postgresql", "upstream"];

/// What is Tidemill's default, and not PostgreSQL's.
const MIRROR_SETTINGS: &str = "SET TimeZone = 'UTC'; SET search_path = public";

/// Who is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Peer {
    /// Tidemill, by the name of the connection.
    Tidemill(String),
    /// PostgreSQL, in place of the connection of that name.
    Mirror(String),
    /// PostgreSQL, as the upstream.
    Upstream,
}

/// A query record.
struct Query<'a> {
    sql: String,
    line: u32,
    expected: &'a QueryExpect<DefaultColumnType>,
}

/// The state of one file's run.
pub struct FileRun<'a> {
    servers: &'a Servers,
    script: &'a Script,
    name: &'a str,
    database: String,
    compare: bool,
    sessions: HashMap<Peer, Session>,
    variables: Vec<(String, String)>,
    sort: SortMode,
    ticks: Vec<String>,
    parameters: Option<Vec<Option<String>>>,
    cancel: Option<Duration>,
    current: Arc<PlainMutex<u32>>,
    failures: Vec<String>,
    /// PostgreSQL's answers, by line.
    pub answers: BTreeMap<u32, Answer>,
}

impl<'a> FileRun<'a> {
    /// A run of a script in databases of its own.
    pub fn new(
        servers: &'a Servers,
        script: &'a Script,
        name: &'a str,
        database: String,
        compare: bool,
    ) -> FileRun<'a> {
        FileRun {
            servers,
            script,
            name,
            database,
            compare: compare && script.compare && !script.typed,
            sessions: HashMap::new(),
            variables: Vec::new(),
            sort: SortMode::NoSort,
            ticks: Vec::new(),
            parameters: None,
            cancel: None,
            current: Arc::new(PlainMutex::new(0)),
            failures: Vec::new(),
            answers: BTreeMap::new(),
        }
    }

    /// The line that is running, for whoever ends the run from outside.
    pub fn current_line(&self) -> Arc<PlainMutex<u32>> {
        Arc::clone(&self.current)
    }

    /// Runs all steps; gives a line for each failure.
    pub async fn run(&mut self) -> Result<Vec<String>> {
        self.prepare().await?;
        for step in &self.script.steps {
            let limit = if self.script.whole_errors { usize::MAX } else { MAX_FAILURES };
            if self.failures.len() >= limit && self.servers.tidemill.is_some() {
                self.failures.push(format!("{}: too many failures", self.name));
                break;
            }
            match step {
                Step::Directive(directive) => {
                    if let Err(error) = self.directive(directive).await {
                        self.fail(format!("# {directive:?}: {error:#}"));
                    }
                }
                Step::Record(record, conditions) => {
                    let version = self.servers.postgres.version;
                    let of_version = |c: &Condition| skips_version(c, version);
                    if conditions.iter().any(|condition| of_version(condition) == Some(true)) {
                        continue;
                    }
                    let others = conditions.iter().filter(|c| of_version(c).is_none());
                    let others: Vec<Condition> = others.cloned().collect();
                    if !self.record(record, &others).await {
                        break;
                    }
                    self.parameters = None;
                    self.cancel = None;
                }
            }
        }
        Ok(std::mem::take(&mut self.failures))
    }

    /// Makes the databases and the variables.
    async fn prepare(&mut self) -> Result<()> {
        let create = format!("CREATE DATABASE {}", self.database);
        let postgres = self.servers.postgres.session("postgres").await?;
        postgres.run(&create).await.map_err(anyhow::Error::msg)?;
        if let Some(tidemill) = &self.servers.tidemill {
            let session = tidemill.lock().await.session("materialize").await?;
            session.run(&create).await.map_err(anyhow::Error::msg)?;
        }
        let variables = [
            ("UPSTREAM_HOST", "127.0.0.1".to_owned()),
            ("UPSTREAM_PORT", self.servers.postgres.port.to_string()),
            ("UPSTREAM_DATABASE", self.database.clone()),
            ("UPSTREAM_USER", UPSTREAM_USER.to_owned()),
            ("DATABASE", self.database.clone()),
        ];
        self.variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Ok(())
    }

    fn fail(&mut self, message: String) {
        let line = *self.current.lock();
        let message = message.replace('\n', " \u{21b5} ");
        self.failures.push(format!("{}:{line}: {message}", self.name));
    }

    async fn directive(&mut self, directive: &Directive) -> Result<()> {
        match directive {
            Directive::Parameters(values) => self.parameters = Some(values.clone()),
            Directive::Cancel(wait) => self.cancel = Some(*wait),
            _ => self.act(directive).await?,
        }
        Ok(())
    }

    async fn act(&mut self, directive: &Directive) -> Result<()> {
        let Some(tidemill) = &self.servers.tidemill else { return Ok(()) };
        match directive {
            Directive::Restart | Directive::Kill => {
                self.sessions.retain(|peer, _| !matches!(peer, Peer::Tidemill(_)));
                tidemill.lock().await.restart(*directive == Directive::Restart).await?;
            }
            Directive::KillUpstream => {
                self.sessions.retain(|peer, _| matches!(peer, Peer::Tidemill(_)));
                self.servers.postgres.kill_and_start()?;
            }
            Directive::Garbage => crate::garbage::send(tidemill.lock().await.port).await?,
            Directive::Absent(text) => tidemill.lock().await.must_not_hold(text)?,
            Directive::Parameters(_) | Directive::Cancel(_) => {}
        }
        Ok(())
    }

    /// Runs a record; says whether the file goes on.
    async fn record(&mut self, record: &Record, conditions: &[Condition]) -> bool {
        match record {
            Record::Statement { loc, connection, sql, expected, retry, .. } => {
                *self.current.lock() = loc.line();
                let sql = self.substitute(sql);
                let attempt = async |run: &mut Self| {
                    run.statement(&sql, connection, conditions, expected, loc.line()).await
                };
                self.retried(retry.as_ref(), attempt).await;
            }
            Record::Query { loc, connection, sql, expected, retry, .. } => {
                *self.current.lock() = loc.line();
                let query = Query { sql: self.substitute(sql), line: loc.line(), expected };
                let attempt =
                    async |run: &mut Self| run.query(&query, connection, conditions).await;
                self.retried(retry.as_ref(), attempt).await;
            }
            Record::Let { loc, connection, variables, sql, .. } => {
                *self.current.lock() = loc.line();
                let sql = self.substitute(sql);
                if let Err(message) = self.bind(&sql, connection, variables).await {
                    self.fail(message);
                }
            }
            Record::Sleep { duration, .. } => tokio::time::sleep(*duration).await,
            Record::Control(Control::SortMode(mode)) => self.sort = *mode,
            Record::Halt { .. } => return skips(conditions, TIDEMILL_LABELS),
            _ => {}
        }
        true
    }

    async fn retried<F>(&mut self, retry: Option<&RetryConfig>, attempt: F)
    where
        F: AsyncFn(&mut Self) -> Result<(), String>,
    {
        // PostgreSQL alone has nothing to wait for.
        let retry = retry.filter(|_| self.servers.tidemill.is_some());
        let attempts = retry.map_or(1, |retry| retry.attempts.max(1));
        for number in 1..=attempts {
            match attempt(self).await {
                Ok(()) => return,
                Err(message) if number == attempts => self.fail(message),
                Err(_) => tokio::time::sleep(retry.map_or(Duration::ZERO, |r| r.backoff)).await,
            }
        }
    }

    /// Who is asked first, and who in addition.
    fn peers(
        &self,
        connection: &Connection,
        conditions: &[Condition],
    ) -> (Option<Peer>, Option<Peer>) {
        let name = match connection {
            Connection::Default => "default",
            Connection::Named(name) if name == "upstream" => return (Some(Peer::Upstream), None),
            Connection::Named(name) => name,
        };
        let here = self.servers.tidemill.is_some() && !skips(conditions, TIDEMILL_LABELS);
        let there = (self.compare || self.servers.tidemill.is_none())
            && !skips(conditions, UPSTREAM_LABELS);
        let tidemill = here.then(|| Peer::Tidemill(name.to_owned()));
        let mirror = there.then(|| Peer::Mirror(name.to_owned()));
        if tidemill.is_some() { (tidemill, mirror) } else { (mirror, None) }
    }

    async fn session(&mut self, peer: &Peer) -> Result<&Session, String> {
        let open = self.sessions.get(peer).is_some_and(|session| !session.is_closed());
        if !open {
            let session = match (peer, &self.servers.tidemill) {
                (Peer::Tidemill(name), Some(server)) => {
                    let server = server.lock().await;
                    match name.strip_prefix("user:") {
                        Some(user) => server.session_of(user, &self.database).await,
                        None => server.session(&self.database).await,
                    }
                }
                _ => self.servers.postgres.session(&self.database).await,
            };
            let session = session.map_err(|error| format!("{error:#}"))?;
            if matches!(peer, Peer::Mirror(_)) {
                session.run(MIRROR_SETTINGS).await.map_err(|failure| failure.to_string())?;
            }
            self.sessions.insert(peer.clone(), session);
        }
        self.sessions.get(peer).ok_or_else(|| "no session".to_owned())
    }

    /// Runs SQL on a peer. `None` if it has no business there.
    async fn ask(
        &mut self,
        peer: &Peer,
        sql: &str,
    ) -> Result<Option<Result<Outcome, Failure>>, String> {
        let sql = match peer {
            Peer::Mirror(_) => match mirror::statement(sql) {
                Some(sql) => sql,
                None => return Ok(None),
            },
            Peer::Tidemill(_) if self.script.typed => mirror::without_keys(sql),
            _ => sql.to_owned(),
        };
        let (parameters, cancel) = (self.parameters.clone(), self.cancel);
        let is_tidemill = matches!(peer, Peer::Tidemill(_));
        let session = self.session(peer).await?;
        if let Some(wait) = cancel {
            session.cancel_after(wait);
        }
        let mut result = match parameters {
            Some(values) => session.describe(&sql, &values).await.map(|d| d.outcome()),
            None => session.run(&sql).await,
        };
        if let (Ok(outcome), true) = (&mut result, is_tidemill) {
            self.number_ticks(outcome);
        }
        Ok(Some(result))
    }

    /// Ticks differ from run to run: t1, t2, .. in the order in which they are seen.
    fn number_ticks(&mut self, outcome: &mut Outcome) {
        let Some(column) = outcome.columns.iter().position(|name| name == "mz_timestamp") else {
            return;
        };
        for value in outcome.rows.iter_mut().filter_map(|row| row[column].as_mut()) {
            let known = self.ticks.iter().position(|tick| tick == value);
            let number = known.unwrap_or_else(|| {
                self.ticks.push(value.clone());
                self.ticks.len() - 1
            });
            *value = format!("t{}", number + 1);
        }
    }

    async fn bind(
        &mut self,
        sql: &str,
        connection: &Connection,
        names: &[String],
    ) -> Result<(), String> {
        let (Some(peer), _) = self.peers(connection, &[]) else { return Ok(()) };
        let Some(result) = self.ask(&peer, sql).await? else { return Ok(()) };
        let outcome = result.map_err(|failure| format!("let: {failure} | {sql}"))?;
        let row = outcome.rows.first().ok_or_else(|| format!("let: no row | {sql}"))?;
        for (name, value) in names.iter().zip(row) {
            self.variables.retain(|(known, _)| known != name);
            self.variables.push((name.clone(), value.clone().unwrap_or_default()));
        }
        Ok(())
    }

    fn substitute(&self, sql: &str) -> String {
        let mut sql = sql.to_owned();
        for (name, value) in &self.variables {
            sql = sql.replace(&format!("${{{name}}}"), value);
        }
        sql
    }

    async fn statement(
        &mut self,
        sql: &str,
        connection: &Connection,
        conditions: &[Condition],
        expected: &StatementExpect,
        line: u32,
    ) -> Result<(), String> {
        let (Some(first), second) = self.peers(connection, conditions) else { return Ok(()) };
        let Some(result) = self.ask(&first, sql).await? else { return Ok(()) };
        let mine = match (&result, expected) {
            (Err(failure), StatementExpect::Error(wanted)) => {
                self.answer_error(&first, line, failure, wanted);
                self.check_error(wanted, failure, sql)
            }
            (Err(failure), _) => Err(format!("{failure} | {sql}")),
            (Ok(_), StatementExpect::Error(wanted)) => {
                Err(format!("should fail with {wanted} | {sql}"))
            }
            (Ok(outcome), StatementExpect::Count(count)) if outcome.count != *count => {
                Err(format!("{} rows instead of {count} | {sql}", outcome.count))
            }
            (Ok(_), _) => Ok(()),
        };
        if let Some(second) = second
            && let Some(theirs) = self.ask(&second, sql).await?
        {
            compare_results(&result, &theirs, sql, self.script.whole_errors)?;
        }
        mine
    }

    async fn query(
        &mut self,
        query: &Query<'_>,
        connection: &Connection,
        conditions: &[Condition],
    ) -> Result<(), String> {
        let sql = &query.sql;
        let (Some(first), second) = self.peers(connection, conditions) else { return Ok(()) };
        let Some(result) = self.ask(&first, sql).await? else { return Ok(()) };
        let mine = self.check_query(&first, query, &result);
        self.answer_types(&first, query).await;
        if let Some(second) = second
            && let Some(theirs) = self.ask(&second, sql).await?
        {
            compare_results(&result, &theirs, sql, self.script.whole_errors)?;
            if let (Ok(ours), Ok(theirs)) = (&result, &theirs) {
                self.compare_rows(query, ours, theirs)?;
                if mirror::is_query(sql) {
                    self.compare_described(query, &first, &second).await?;
                }
            }
        }
        mine
    }

    /// Puts the letters of PostgreSQL's types into its answer.
    async fn answer_types(&mut self, peer: &Peer, query: &Query<'_>) {
        if !matches!(peer, Peer::Mirror(_)) || !mirror::is_query(&query.sql) {
            return;
        }
        let parameters = self.parameters.clone().unwrap_or_default();
        let Ok(session) = self.session(peer).await else { return };
        let Ok(described) = session.describe(&query.sql, &parameters).await else { return };
        if let Some(Answer::Rows(types, _)) = self.answers.get_mut(&query.line) {
            *types = described.type_letters();
        }
    }

    fn check_query(
        &mut self,
        peer: &Peer,
        query: &Query<'_>,
        result: &Result<Outcome, Failure>,
    ) -> Result<(), String> {
        let sql = &query.sql;
        match (result, query.expected) {
            (Err(failure), QueryExpect::Error(wanted)) => {
                self.answer_error(peer, query.line, failure, wanted);
                self.check_error(wanted, failure, sql)
            }
            (Err(failure), QueryExpect::Results { .. }) => Err(format!("{failure} | {sql}")),
            (Ok(outcome), QueryExpect::Error(wanted)) => {
                Err(format!("should fail with {wanted}, gives {:?} | {sql}", outcome.rows))
            }
            (Ok(outcome), QueryExpect::Results { types, results, .. }) => {
                let lines = self.printing(query).lines(outcome);
                if matches!(peer, Peer::Mirror(_)) {
                    let types = "T".repeat(outcome.columns.len());
                    self.answers.insert(query.line, Answer::Rows(types, lines.clone()));
                }
                if outcome.columns.len() != types.len() && !outcome.columns.is_empty() {
                    let (count, wanted) = (outcome.columns.len(), types.len());
                    return Err(format!("{count} columns instead of {wanted} | {sql}"));
                }
                if same_lines(&lines, results, self.script.typed) {
                    return Ok(());
                }
                Err(format!("expected {results:?} actual {lines:?} | {sql}"))
            }
        }
    }

    fn printing<'q>(&self, query: &'q Query<'_>) -> Printing<'q> {
        let (types, sort, results) = match query.expected {
            QueryExpect::Results { types, sort_mode, results, .. } => {
                (types.as_slice(), *sort_mode, results.as_slice())
            }
            QueryExpect::Error(_) => (&[][..], None, &[][..]),
        };
        // Whether values are hashed is seen from what is expected: some files name no threshold.
        let hashed = matches!(results, [line] if line.contains(" values hashing to "));
        Printing { types, sort: sort.unwrap_or(self.sort), typed: self.script.typed, hashed }
    }

    fn answer_error(&mut self, peer: &Peer, line: u32, failure: &Failure, wanted: &ExpectedError) {
        let settled = !matches!(wanted, ExpectedError::Empty) && matches(wanted, failure);
        if matches!(peer, Peer::Mirror(_)) && !settled {
            let pattern = format!("{}: {}", failure.code, escape(&failure.message));
            self.answers.insert(line, Answer::Error(pattern));
        }
    }

    fn check_error(
        &self,
        wanted: &ExpectedError,
        failure: &Failure,
        sql: &str,
    ) -> Result<(), String> {
        if matches(wanted, failure) {
            return Ok(());
        }
        Err(format!("expected error {wanted} actual {failure} | {sql}"))
    }

    fn compare_rows(
        &self,
        query: &Query<'_>,
        ours: &Outcome,
        theirs: &Outcome,
    ) -> Result<(), String> {
        let sql = &query.sql;
        if ours.columns != theirs.columns {
            let (ours, theirs) = (&ours.columns, &theirs.columns);
            return Err(format!("column names: PostgreSQL {theirs:?} Tidemill {ours:?} | {sql}"));
        }
        let (mut ours, mut theirs) = (ours.rows.clone(), theirs.rows.clone());
        if self.printing(query).sort != SortMode::NoSort {
            ours.sort();
            theirs.sort();
        }
        if ours == theirs {
            return Ok(());
        }
        Err(format!("rows: PostgreSQL {} Tidemill {} | {sql}", shown(&theirs), shown(&ours)))
    }

    /// Types and binary values, by the extended protocol.
    async fn compare_described(
        &mut self,
        query: &Query<'_>,
        first: &Peer,
        second: &Peer,
    ) -> Result<(), String> {
        let sql = &query.sql;
        let parameters = self.parameters.clone().unwrap_or_default();
        let ours = self.session(first).await?.describe(sql, &parameters).await;
        let theirs = self.session(second).await?.describe(sql, &parameters).await;
        let (mut ours, mut theirs) = match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => (ours, theirs),
            (Err(failure), Ok(_)) => return Err(format!("extended protocol: {failure} | {sql}")),
            (_, Err(_)) => return Ok(()),
        };
        if ours.columns != theirs.columns {
            let (ours, theirs) = (&ours.columns, &theirs.columns);
            return Err(format!("column types: PostgreSQL {theirs:?} Tidemill {ours:?} | {sql}"));
        }
        if self.printing(query).sort != SortMode::NoSort {
            ours.rows.sort();
            theirs.rows.sort();
        }
        if ours.rows == theirs.rows {
            return Ok(());
        }
        let (theirs, ours) = (&theirs.rows, &ours.rows);
        Err(format!("binary rows: PostgreSQL {theirs:?} Tidemill {ours:?} | {sql}"))
    }
}

pub fn matches(wanted: &ExpectedError, failure: &Failure) -> bool {
    let text = failure.to_string();
    // The parser folds blanks of the expectation: fold them here too.
    let folded = text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    wanted.is_match(&text, Some(&failure.code)) || wanted.is_match(&folded, None)
}

fn compare_results(
    ours: &Result<Outcome, Failure>,
    theirs: &Result<Outcome, Failure>,
    sql: &str,
    whole: bool,
) -> Result<(), String> {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) if ours.count != theirs.count && ours.columns.is_empty() => {
            Err(format!("count: PostgreSQL {} Tidemill {} | {sql}", theirs.count, ours.count))
        }
        (Ok(_), Ok(_)) => Ok(()),
        (Ok(_), Err(theirs)) => Err(format!("only PostgreSQL fails: {theirs} | {sql}")),
        (Err(ours), Ok(_)) => Err(format!("PostgreSQL accepts, Tidemill: {ours} | {sql}")),
        (Err(ours), Err(theirs)) if ours.code == theirs.code && !whole => Ok(()),
        (Err(ours), Err(theirs)) if ours.whole() == theirs.whole() => Ok(()),
        (Err(ours), Err(theirs)) => {
            let (ours, theirs) = (ours.whole(), theirs.whole());
            Err(format!("errors: PostgreSQL {theirs} Tidemill {ours} | {sql}"))
        }
    }
}

/// Lines are the same if they differ in blanks at the end at most; SQLite's files may put the
/// values of a row on one line or on several.
pub fn same_lines(actual: &[String], expected: &[String], typed: bool) -> bool {
    if expected.iter().any(|line| line.contains(IGNORED)) {
        return has_fragments(&actual.join("\n"), &expected.join("\n"));
    }
    let folded = |lines: &[String]| -> Vec<String> {
        lines.iter().flat_map(|l| l.split_whitespace()).map(str::to_owned).collect()
    };
    let trimmed =
        |lines: &[String]| lines.iter().map(|l| l.trim_end().to_owned()).collect::<Vec<_>>();
    if typed { folded(actual) == folded(expected) } else { trimmed(actual) == trimmed(expected) }
}

/// Stands for any text in what is expected.
const IGNORED: &str = "<slt:ignore>";

fn has_fragments(actual: &str, expected: &str) -> bool {
    let mut rest = actual;
    for (number, fragment) in expected.split(IGNORED).enumerate() {
        match rest.find(fragment) {
            Some(at) if number > 0 || at == 0 => rest = &rest[at + fragment.len()..],
            _ => return false,
        }
    }
    rest.is_empty() || expected.ends_with(IGNORED)
}

fn shown(rows: &[Vec<Option<String>>]) -> String {
    let rows: Vec<String> = rows
        .iter()
        .map(|row| {
            let values = row.iter().map(|value| value.as_deref().unwrap_or("NULL"));
            values.collect::<Vec<_>>().join(" | ")
        })
        .collect();
    format!("{rows:?}")
}

/// The label of a file's path for people.
pub fn display_name(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}
