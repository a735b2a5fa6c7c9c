//! EXPLAIN's texts as JSON: a line is an object, those that are indented below it its inputs.

use serde_json::{Map, Value};

/// Deeper lines stand beside those of this depth: a value is written by a recursion, and what
/// reads it may take no more than 128 levels, two of which are a line.
const DEEPEST: usize = 60;

/// A text of indented lines as JSON.
pub(super) fn json(text: &str) -> String {
    let mut open: Vec<(usize, Node)> = vec![(0, Node::default())];
    for line in text.lines() {
        let content = line.trim_start();
        if content.is_empty() {
            continue;
        }
        let depth = ((line.len() - content.len()) / 2 + 1).min(DEEPEST);
        close(&mut open, depth);
        open.push((depth, Node { line: content.to_owned(), inputs: Vec::new() }));
    }
    close(&mut open, 1);
    let lines = open.pop().map(|(_, root)| root.inputs).unwrap_or_default();
    format!("{:#}", Value::Array(lines))
}

#[derive(Default)]
struct Node {
    line: String,
    inputs: Vec<Value>,
}

/// Ends all lines from a depth on.
fn close(open: &mut Vec<(usize, Node)>, depth: usize) {
    while let Some((_, node)) = open.pop_if(|(own, _)| *own >= depth && *own > 0) {
        let mut object = Map::new();
        let (operator, detail) = match node.line.split_once(' ') {
            Some((operator, detail)) => (operator.to_owned(), detail.to_owned()),
            None => (node.line, String::new()),
        };
        object.insert("operator".to_owned(), Value::String(operator));
        if !detail.is_empty() {
            object.insert("detail".to_owned(), Value::String(detail));
        }
        if !node.inputs.is_empty() {
            object.insert("inputs".to_owned(), Value::Array(node.inputs));
        }
        if let Some((_, above)) = open.last_mut() {
            above.inputs.push(Value::Object(object));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indented_lines_are_inputs() {
        let text = "Join on=(#0 = #2)\n  Get t\n  Filter #1\n    Get u\nUsed Indexes:\n  - i\n";
        let value: Value = serde_json::from_str(&json(text)).unwrap();
        assert_eq!(value[0]["operator"], "Join");
        assert_eq!(value[0]["inputs"][1]["inputs"][0]["detail"], "u");
        assert_eq!(value[1]["inputs"][0]["detail"], "i");
        assert!(value[1]["inputs"][0].get("inputs").is_none());
    }

    #[test]
    fn deep_plans_end_somewhere() {
        let text: String = (0..5_000).map(|depth| "  ".repeat(depth) + "Get t\n").collect();
        assert!(serde_json::from_str::<Value>(&json(&text)).is_ok());
    }
}
