//! Filling a test file with PostgreSQL's answers (`--override`).

use std::collections::BTreeMap;

/// What PostgreSQL said to the record at a line.
pub enum Answer {
    /// The letters of its columns' types, and the lines of its rows.
    Rows(String, Vec<String>),
    /// Its error, as a regular expression.
    Error(String),
}

/// The text of a file with the answers in the places of what was expected.
pub fn rewrite(text: &str, answers: &BTreeMap<u32, Answer>) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut written: Vec<String> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let Some(answer) = answers.get(&(at as u32 + 1)) else {
            written.push(lines[at].to_owned());
            at += 1;
            continue;
        };
        let end = (at..lines.len()).find(|line| lines[*line].is_empty()).unwrap_or(lines.len());
        let delimiter = (at..end).find(|line| lines[*line] == "----").unwrap_or(end);
        let body = lines[at + 1..delimiter].iter().map(|line| (*line).to_owned());
        match answer {
            Answer::Rows(types, rows) => {
                let words = lines[at].split(' ').skip(2).map(|word| format!(" {word}"));
                written.push(format!("query {types}{}", words.collect::<String>()));
                written.extend(body);
                written.push("----".to_owned());
                written.extend(rows.iter().cloned());
            }
            Answer::Error(pattern) => {
                let kind = lines[at].split(' ').next().unwrap_or("statement");
                written.push(format!("{kind} error {pattern}"));
                written.extend(body);
            }
        }
        at = end;
    }
    format!("{}\n", written.join("\n").trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_take_the_place_of_expectations() {
        let text =
            "# name\n\nquery I\nSELECT 1\n----\n2\n3\n\nquery error\nSELECT x\n\nstatement ok\nX\n";
        let answers = BTreeMap::from([
            (3, Answer::Rows("T".to_owned(), vec!["1".to_owned()])),
            (9, Answer::Error("42703: no".to_owned())),
        ]);
        let expected = "# name\n\nquery T\nSELECT 1\n----\n1\n\nquery error 42703: no\nSELECT x\n\nstatement ok\nX\n";
        assert_eq!(rewrite(text, &answers), expected);
    }
}
