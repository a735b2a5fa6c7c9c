//! The code's own rules, checked on the files themselves.
//!
//! 1. Crates import only what the table of `docs/architecture.md` allows, and all are in it.
//! 2. Each file of shipped code opens with `//!`: what it is for.
//! 3. No file is longer than [`MOST_LINES`], but for [`LONG_FILES`].
//! 4. Shipped code has no [`LEFTOVERS`].
//! 5. Each SQL test opens with three comments: its name, what it shows, its group.
//! 6. Links from page to page, and the files that pages name in code quotes, lead somewhere.
//! 7. The SQL of pages for users can be read.
//!
//! All findings of a rule are shown at once, with the file (and line) of each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// How long a file may be.
const MOST_LINES: usize = 800;

/// Files that may be longer, each with the reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// What is written on the way and must not stay.
const LEFTOVERS: &[&str] = &["todo!(", "unimplemented!(", "dbg!("];

/// The comments on top of a SQL test, in this order.
const SQL_TEST_HEADER: &[&str] = &["# name: ", "# what: ", "# group: "];

#[test]
fn crates_import_what_the_architecture_allows() {
    let allowed = read_crate_table();
    let mut findings = Vec::new();
    let mut crates = BTreeSet::new();
    for directory in subdirectories("crates").into_iter().chain(subdirectories("bin")) {
        let manifest = read(&directory.join("Cargo.toml"));
        let (name, imports) = read_manifest(&manifest);
        let Some(allowed) = allowed.get(&name) else {
            findings.push(format!("{name} is not in the table of docs/architecture.md"));
            continue;
        };
        for import in imports {
            if !allowed.contains(&import) {
                findings.push(format!("{name} imports {import}, which the table does not allow"));
            }
        }
        crates.insert(name);
    }
    for name in allowed.keys() {
        if !crates.contains(name) {
            findings.push(format!("{name} is in the table, but is no crate"));
        }
    }
    report("dependencies", &findings);
}

#[test]
fn files_open_with_what_they_are_for() {
    let mut findings = Vec::new();
    for file in shipped_code() {
        if !read(&file).starts_with("//!") {
            findings.push(format!("{} does not open with `//!`", shown(&file)));
        }
    }
    report("module comments", &findings);
}

#[test]
fn files_are_not_too_long() {
    let mut findings = Vec::new();
    for file in all_code() {
        let lines = read(&file).lines().count();
        let name = shown(&file);
        let excepted = LONG_FILES.iter().any(|(long, _)| *long == name);
        if lines > MOST_LINES && !excepted {
            findings.push(format!("{name} has {lines} lines: more than {MOST_LINES}"));
        }
        if lines <= MOST_LINES && excepted {
            findings.push(format!("{name} needs no exception any more"));
        }
    }
    report("lengths", &findings);
}

#[test]
fn shipped_code_has_no_leftovers() {
    let mut findings = Vec::new();
    for file in shipped_code() {
        for (number, line) in read(&file).lines().enumerate() {
            for leftover in LEFTOVERS {
                if line.contains(leftover) {
                    findings.push(format!("{}:{}: {leftover}..)", shown(&file), number + 1));
                }
            }
        }
    }
    report("leftovers", &findings);
}

#[test]
fn sql_tests_open_with_name_purpose_and_group() {
    let mut findings = Vec::new();
    for file in files_under("sql-tests", "slt") {
        let text = read(&file);
        let mut lines = text.lines();
        for wanted in SQL_TEST_HEADER {
            let line = lines.next().unwrap_or_default();
            let rest = line.strip_prefix(wanted).unwrap_or_default();
            if rest.trim().is_empty() {
                findings.push(format!("{} has no line `{wanted}..`", shown(&file)));
            }
        }
    }
    report("headers of SQL tests", &findings);
}

#[test]
fn pages_point_to_what_is_there() {
    let mut findings = Vec::new();
    for page in pages() {
        let text = read(&page);
        let folder = page.parent().unwrap_or(Path::new("."));
        for target in link_targets(&text) {
            let path = target.split('#').next().unwrap_or_default();
            let is_elsewhere = path.is_empty() || path.contains("://") || path.contains(':');
            if !is_elsewhere && !folder.join(path).exists() {
                findings.push(format!("{}: the link {target} leads nowhere", shown(&page)));
            }
        }
        for path in named_files(&text) {
            if !root().join(&path).exists() {
                findings.push(format!("{}: there is no {path}", shown(&page)));
            }
        }
    }
    report("pages", &findings);
}

#[test]
fn sql_of_pages_can_be_read() {
    let mut findings = Vec::new();
    for page in pages() {
        for example in read(&page).split("```sql\n").skip(1) {
            let example = example.split("```").next().unwrap_or_default();
            if let Err(error) = tidemill_sql::parse(example) {
                findings.push(format!("{}: {}\n{example}", shown(&page), error.message));
            }
        }
    }
    report("SQL of pages", &findings);
}

/// The rows of the table of crates: for each the crates it may import.
///
/// ```text
/// | `plan` | logical and physical plans | expr, repr |
/// ```
fn read_crate_table() -> BTreeMap<String, BTreeSet<String>> {
    let page = read(&root().join("docs/architecture.md"));
    let rows: Vec<Vec<&str>> = page
        .lines()
        .skip_while(|line| !line.starts_with("| crate |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(!rows.is_empty(), "docs/architecture.md has no table of crates");
    let mut table = BTreeMap::new();
    for row in rows {
        let [names, _, imports] = row.as_slice() else {
            panic!("a row of the table of crates has not three columns: {row:?}");
        };
        let imports: BTreeSet<String> = imports
            .split(',')
            .map(|import| import.trim().to_owned())
            .filter(|import| import != "nothing")
            .collect();
        for name in names.split(',') {
            let name = name.trim().trim_matches('`').trim_start_matches("bin/");
            table.insert(name.to_owned(), imports.clone());
        }
    }
    table
}

/// A crate's name and which of ours it imports, not counting what only its tests import. Names
/// are those of the table: without `tidemill-` for libraries.
fn read_manifest(manifest: &str) -> (String, Vec<String>) {
    let mut section = "";
    let mut name = "";
    let mut imports = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line.trim();
        } else if section == "[package]" && line.starts_with("name") {
            name = line.split('"').nth(1).unwrap_or_default();
        } else if section.ends_with("dependencies]") && section != "[dev-dependencies]" {
            let dependency = line.split(['.', '=', ' ']).next().unwrap_or_default();
            imports.extend(dependency.strip_prefix("tidemill-").map(str::to_owned));
        }
    }
    assert!(!name.is_empty(), "a Cargo.toml without a name");
    let is_program = root().join("bin").join(name).exists();
    let short = if is_program { name } else { name.trim_start_matches("tidemill-") };
    (short.to_owned(), imports)
}

/// The targets of `[text](target)`.
fn link_targets(text: &str) -> Vec<&str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect()
}

/// Files of the repository that a page names: `crates/..`, `docs/..`, `tools/..` in code quotes.
/// Patterns (`*`, `<name>`, `..`) are not names.
fn named_files(text: &str) -> Vec<String> {
    let outside_blocks = text.split("```").step_by(2);
    outside_blocks
        .flat_map(|prose| prose.split('`').skip(1).step_by(2))
        .filter(|quoted| {
            ["crates/", "docs/", "tools/", "bin/"].iter().any(|start| quoted.starts_with(start))
                && !quoted.contains(['*', '<', '{', ' '])
                && !quoted.contains("..")
        })
        .map(str::to_owned)
        .collect()
}

fn pages() -> Vec<PathBuf> {
    let mut pages = files_under("docs", "md");
    pages.push(root().join("README.md"));
    pages
}

fn shipped_code() -> Vec<PathBuf> {
    let is_shipped = |file: &PathBuf| file.components().any(|part| part.as_os_str() == "src");
    all_code().into_iter().filter(is_shipped).collect()
}

fn all_code() -> Vec<PathBuf> {
    let mut files = files_under("crates", "rs");
    files.extend(files_under("bin", "rs"));
    assert!(files.len() > 10, "the code is not where it is looked for");
    files
}

/// All files below a folder with this ending, in order.
fn files_under(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn subdirectories(folder: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(root().join(folder))
        .unwrap_or_else(|error| panic!("{folder}: {error}"))
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.join("Cargo.toml").exists())
        .collect();
    found.sort();
    found
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The path as seen from the root of the repository.
fn shown(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).display().to_string()
}

fn report(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}\n", findings.join("\n  "));
}
