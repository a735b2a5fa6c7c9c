//! Reading a test file: the records of sqllogictest, the directives in our own comments, and the
//! conditions that stand before a record.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use sqllogictest::{Condition, DefaultColumnType, Record as Parsed};

use crate::guide;

/// A record of the format.
pub type Record = Parsed<DefaultColumnType>;

/// A test file, ready to run.
pub struct Script {
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// Whether its values are printed by their declared type, one a line (SQLite's files).
    pub typed: bool,
    /// Whether queries are also asked of PostgreSQL.
    pub compare: bool,
    /// Whether errors must be the same in all that is told.
    pub whole_errors: bool,
    /// Whether it needs a Tidemill that nobody else uses.
    pub own_server: bool,
    /// Whether it needs a PostgreSQL that nobody else uses.
    pub own_upstream: bool,
    /// The oldest version of PostgreSQL on which it runs.
    pub needs_postgres: u32,
}

/// One thing to do.
pub enum Step {
    /// A record, with the conditions before it.
    Record(Box<Record>, Vec<Condition>),
    /// A directive of ours.
    Directive(Directive),
}

/// What a comment can ask for. It stands before the record it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// `# restart`: ends the server gently and starts it again.
    Restart,
    /// `# kill`: the same with SIGKILL.
    Kill,
    /// `# kill upstream`: SIGKILL to PostgreSQL, and start.
    KillUpstream,
    /// `# garbage`: bytes that are no protocol, sent to the server's port.
    Garbage,
    /// `# parameters: a | NULL`: the next query is executed by the extended protocol with these.
    Parameters(Vec<Option<String>>),
    /// `# cancel after 200ms`: the next statement is cancelled then.
    Cancel(Duration),
    /// `# absent: text`: nowhere in the server's directory is the text found.
    Absent(String),
}

/// Reads a file.
pub fn read(path: &Path, name: &str) -> Result<Script> {
    let text = std::fs::read_to_string(path).with_context(|| name.to_owned())?;
    let guide = is_guide(path);
    let records = if guide {
        guide::records(&text, path, name)?
    } else {
        let text: String = text.lines().map(|line| format!("{}\n", without_remark(line))).collect();
        sqllogictest::parse_with_name::<DefaultColumnType>(&text, name)?
    };
    let mut steps = Vec::new();
    let mut conditions = Vec::new();
    for record in records {
        match record {
            Record::Comment(lines) => {
                let directives = lines.iter().filter_map(|line| directive(line));
                steps.extend(directives.map(Step::Directive));
            }
            Record::Condition(condition) => conditions.push(condition),
            Record::Newline | Record::Connection(_) | Record::Subtest { .. } => {}
            record => steps.push(Step::Record(Box::new(record), std::mem::take(&mut conditions))),
        }
    }
    let has = |wanted: &[Directive]| {
        steps.iter().any(|step| matches!(step, Step::Directive(d) if wanted.contains(d)))
    };
    Ok(Script {
        typed: path.extension().is_some_and(|extension| extension == "test"),
        compare: !guide && !text.lines().any(|line| line.trim() == "# compare: no"),
        whole_errors: text.lines().any(|line| line.trim() == "# compare: errors"),
        // Guides make roles and clusters, and change settings.
        own_server: guide && !steps.is_empty() || has(&[Directive::Restart, Directive::Kill]),
        own_upstream: guide && !steps.is_empty() || has(&[Directive::KillUpstream]),
        needs_postgres: text.lines().find_map(needs_postgres).unwrap_or(0),
        steps,
    })
}

/// Whether a file is a guide: Markdown whose SQL is run.
pub fn is_guide(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md") && !path.ends_with("README.md")
}

/// `# needs: postgres 15`
fn needs_postgres(line: &str) -> Option<u32> {
    line.trim().strip_prefix("# needs: postgres ")?.trim().parse().ok()
}

/// Whether a condition on PostgreSQL's version keeps a record from it: `onlyif postgres-15` is for
/// 15 and later, `skipif postgres-15` for those before.
pub fn skips_version(condition: &Condition, version: u32) -> Option<bool> {
    let of = |label: &str| label.strip_prefix("postgres-")?.parse::<u32>().ok();
    match condition {
        Condition::OnlyIf { label } => of(label).map(|wanted| version < wanted),
        Condition::SkipIf { label } => of(label).map(|wanted| version >= wanted),
    }
}

/// SQLite's files end conditions with remarks, which the parser does not know.
fn without_remark(line: &str) -> &str {
    if line.starts_with("onlyif ") || line.starts_with("skipif ") {
        return line.split('#').next().unwrap_or(line).trim_end();
    }
    line
}

fn directive(comment: &str) -> Option<Directive> {
    let comment = comment.trim();
    match comment {
        "restart" => return Some(Directive::Restart),
        "kill" => return Some(Directive::Kill),
        "kill upstream" => return Some(Directive::KillUpstream),
        "garbage" => return Some(Directive::Garbage),
        _ => {}
    }
    if let Some(values) = comment.strip_prefix("parameters: ") {
        let values = values.split('|').map(str::trim);
        let values = values.map(|value| (value != "NULL").then(|| value.to_owned()));
        return Some(Directive::Parameters(values.collect()));
    }
    if let Some(wait) = comment.strip_prefix("cancel after ") {
        let millis = wait.trim().strip_suffix("ms")?.parse().ok()?;
        return Some(Directive::Cancel(Duration::from_millis(millis)));
    }
    comment.strip_prefix("absent: ").map(|text| Directive::Absent(text.trim().to_owned()))
}

/// Whether a condition keeps a record from a server with these labels.
pub fn skips(conditions: &[Condition], labels: &[&str]) -> bool {
    conditions.iter().any(|condition| match condition {
        Condition::OnlyIf { label } => !labels.contains(&label.as_str()),
        Condition::SkipIf { label } => labels.contains(&label.as_str()),
    })
}
