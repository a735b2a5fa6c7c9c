//! Guides as tests: the SQL blocks of a Markdown page become the records of a test file.
//!
//! A block ` ```sql ` runs at Tidemill, ` ```sql upstream ` at PostgreSQL, and each statement in it must
//! succeed; ` ```sql fails 42501 ` must not; ` ```sql not run: why ` is for reading. A ` ```text ` block
//! with a header, as psql shows it, is what the query before it answers (`..` stands for anything).
//! `<!-- test` .. `-->` holds what the reader need not see: records of the usual format, and lines
//! `replace THIS => THAT` for names that are different here.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::script::Record;

/// A fenced block, or a comment for the test.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    /// The line of its first line of content, from 1.
    line: usize,
    /// What stands after the fence; `<!-- test` for a comment.
    info: String,
    content: Vec<String>,
}

/// The marker of a comment for the test.
const HIDDEN: &str = "<!-- test";

/// The records of a page.
pub fn records(text: &str, path: &Path, name: &str) -> Result<Vec<Record>> {
    let blocks = blocks(text).with_context(|| name.to_owned())?;
    let replacements = replacements(&blocks).with_context(|| name.to_owned())?;
    let mut records = Vec::new();
    for (number, block) in blocks.iter().enumerate() {
        let result = blocks.get(number + 1).and_then(table);
        let script = match block.info.split_once(' ') {
            _ if block.info == HIDDEN => hidden(block, path).with_context(|| name.to_owned())?,
            _ if block.info == "sql" => statements(block, "", "ok", result)?,
            Some(("sql", "upstream")) => statements(block, "connection upstream\n", "ok", result)?,
            Some(("sql", rest)) => {
                match (rest.strip_prefix("fails "), rest.strip_prefix("not run: ")) {
                    (Some(code), _) => statements(block, "", &format!("error ({code})"), None)?,
                    (None, Some(reason)) if !reason.trim().is_empty() => continue,
                    _ => bail!("{name}:{}: nobody knows how to run \"sql {rest}\"", block.line),
                }
            }
            _ => continue,
        };
        for (line, mut script) in script {
            for (this, that) in &replacements {
                script = script.replace(this, that);
            }
            // Empty lines before it make the record tell the right line.
            let padded = format!("{}{script}\n", "\n".repeat(line.saturating_sub(2)));
            records.extend(sqllogictest::parse_with_name(&padded, name)?);
        }
    }
    Ok(records)
}

fn blocks(text: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut open: Option<(Block, &str)> = None;
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        match &mut open {
            Some((_, end)) if trimmed == *end => blocks.extend(open.take().map(|(block, _)| block)),
            Some((block, _)) => block.content.push(line.to_owned()),
            None => {
                let block = |info: &str| Block {
                    line: number + 2,
                    info: info.trim().to_owned(),
                    content: Vec::new(),
                };
                if trimmed == HIDDEN {
                    open = Some((block(HIDDEN), "-->"));
                } else if let Some(info) = trimmed.strip_prefix("```") {
                    open = Some((block(info), "```"));
                }
            }
        }
    }
    match open {
        None => Ok(blocks),
        Some((block, end)) => bail!("the block at line {} has no {end}", block.line),
    }
}

/// What is to be replaced, in the order it is told.
fn replacements(blocks: &[Block]) -> Result<Vec<(String, String)>> {
    let lines = blocks.iter().filter(|block| block.info == HIDDEN).flat_map(|block| &block.content);
    let asked = lines.filter_map(|line| line.strip_prefix("replace "));
    asked
        .map(|asked| {
            let (this, that) = asked.split_once(" => ").context("replace THIS => THAT")?;
            Ok((this.to_owned(), that.to_owned()))
        })
        .collect()
}

/// Records that the reader does not see; `include FILE` puts those of a file beside the page there.
fn hidden(block: &Block, path: &Path) -> Result<Vec<(usize, String)>> {
    let mut lines = Vec::new();
    for line in &block.content {
        if let Some(file) = line.strip_prefix("include ") {
            lines.push(std::fs::read_to_string(path.with_file_name(file.trim()))?);
        } else if line.starts_with("replace ") {
            lines.push(String::new());
        } else {
            lines.push(line.clone());
        }
    }
    Ok(vec![(block.line + 1, lines.join("\n"))])
}

/// A record for each statement; a result is that of the last.
fn statements(
    block: &Block,
    connection: &str,
    outcome: &str,
    result: Option<Vec<Vec<String>>>,
) -> Result<Vec<(usize, String)>> {
    let mut statements: Vec<(usize, String)> = Vec::new();
    let mut current = String::new();
    let mut start = block.line;
    for (offset, line) in block.content.iter().enumerate() {
        if current.is_empty() {
            start = block.line + offset;
        }
        let code = line.split("-- ").next().unwrap_or_default().trim_end();
        if code.trim().is_empty() || code.trim() == "--" {
            continue;
        }
        current.push_str(code);
        current.push('\n');
        let in_body = current.matches("$$").count() % 2 == 1;
        if code.ends_with(';') && !in_body {
            statements.push((start, std::mem::take(&mut current)));
        }
    }
    if !current.is_empty() {
        bail!("line {start}: a statement without ; at its end");
    }
    let last = statements.len().saturating_sub(1);
    let result = &result;
    let record = |(number, (line, sql)): (usize, (usize, String))| {
        let sql = sql.trim_end().trim_end_matches(';');
        let text = match result {
            Some(rows) if number == last => query(sql, rows),
            _ => format!("statement {outcome}\n{sql}\n"),
        };
        (line, format!("{connection}{text}"))
    };
    Ok(statements.into_iter().enumerate().map(record).collect())
}

/// A query with its answer; what comes from elsewhere may take a while.
fn query(sql: &str, rows: &[Vec<String>]) -> String {
    let mut rows = rows.to_vec();
    let ordered = sql.to_uppercase().contains("ORDER BY");
    if !ordered {
        rows.sort();
    }
    let letters = "T".repeat(rows.first().map_or(1, Vec::len));
    let sort = if ordered { "" } else { " rowsort" };
    let lines: Vec<String> = rows.iter().map(|row| row.join(" ")).collect();
    format!("query {letters}{sort} retry 200 backoff 100ms\n{sql}\n----\n{}\n", lines.join("\n"))
}

/// The rows of a table as psql shows it; None for any other block.
fn table(block: &Block) -> Option<Vec<Vec<String>>> {
    let rule = block.content.get(1)?;
    let is_rule = rule.starts_with('-') && rule.chars().all(|c| c == '-' || c == '+');
    if block.info != "text" || !is_rule {
        return None;
    }
    let rows = block.content.iter().skip(2).filter(|line| !line.starts_with('('));
    let cell = |cell: &str| match cell.trim() {
        "" => "NULL".to_owned(),
        ".." => "<slt:ignore>".to_owned(),
        value => value.to_owned(),
    };
    Some(rows.map(|row| row.split('|').map(cell).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Page\n\n```sql\nSELECT 1\nAS a;  -- one\n\nSELECT b;\n```\n\n```text\n \
                        b\n---\n x\n \n(2 rows)\n```\n\n```sql not run: only there\nX;\n```\n\n\
                        <!-- test\nreplace SELECT b => SELECT 'c'\n\nstatement ok\nSELECT 3\n-->\n\n\
                        ```sql upstream\nDO $$ BEGIN;\nEND $$;\n```\n";

    #[test]
    fn blocks_become_records() {
        let shown: Vec<String> = records(PAGE, Path::new("page.md"), "page.md")
            .unwrap()
            .iter()
            .filter_map(|record| match record {
                Record::Statement { loc, sql, .. } => Some(format!("{} {sql}", loc.line())),
                Record::Query { loc, sql, .. } => Some(format!("{} ? {sql}", loc.line())),
                _ => None,
            })
            .collect();
        assert_eq!(shown.len(), 4, "{shown:?}");
        assert!(shown[0].ends_with("SELECT 1\nAS a"), "{shown:?}");
        assert!(shown[1].ends_with("? SELECT 'c'"), "{shown:?}");
        assert!(shown[2].ends_with(" SELECT 3"), "{shown:?}");
        assert!(shown[3].ends_with("DO $$ BEGIN;\nEND $$"), "{shown:?}");
    }

    #[test]
    fn a_result_is_a_table() {
        let found = blocks(PAGE).unwrap().iter().find_map(table);
        assert_eq!(found, Some(vec![vec!["x".to_owned()], vec!["NULL".to_owned()]]));
    }

    #[test]
    fn what_cannot_be_run_is_said() {
        assert!(records("```sql maybe\nX;\n```\n", Path::new("page.md"), "page.md").is_err());
        assert!(records("```sql\nSELECT 1\n```\n", Path::new("page.md"), "page.md").is_err());
        assert!(records("```sql\nSELECT 1;\n", Path::new("page.md"), "page.md").is_err());
    }
}
