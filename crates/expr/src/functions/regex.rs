//! Regular expressions with PostgreSQL's meaning: which match is found, and where the next
//! search starts.
//!
//! The crates' engines take the first way to match; PostgreSQL takes the longest (or, by the
//! first quantifier, the shortest) match of those that start first. So an automaton of the same
//! pattern finds the end, and the groups are those of a match that ends there. Patterns with
//! back references or look-around go to a backtracking engine with a limit of steps; there
//! the first way to match counts. Compiled patterns are kept for each thread.

pub(super) mod calls;
mod translate;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::{Anchored, Input, MatchKind};
use tidemill_repr::SqlState;

use crate::error::EvalError;
use crate::functions::arguments::bad_parameter;
use crate::functions::regex::translate::{Preference, invalid, translate};

/// Compiled patterns a thread keeps at most.
const CACHE_SIZE: usize = 256;
/// Bytes a compiled pattern may have.
const SIZE_LIMIT: usize = 1 << 24;
/// Steps that the backtracking engine may take in one search.
const BACKTRACK_LIMIT: usize = 2_000_000;

/// What option letters and embedded options ask for.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent switches")]
pub(super) struct Options {
    /// `g`, which some functions take.
    pub(super) global: bool,
    case_insensitive: bool,
    /// `.` and `[^..]` do not match a newline.
    stop_at_newline: bool,
    /// `^` and `$` match at lines.
    line_anchors: bool,
    expanded: bool,
    literal: bool,
    /// POSIX EREs: a backslash only takes away a special meaning.
    extended: bool,
}

impl Options {
    /// # Errors
    /// A letter is no option (`22023`).
    pub(super) fn of(letters: &str) -> Result<Options, EvalError> {
        let mut options = Options::default();
        for letter in letters.chars() {
            if letter == 'g' {
                options.global = true;
            } else if !options.set(letter) {
                return Err(bad_parameter(format!(
                    "invalid regular expression option: \"{letter}\""
                )));
            }
        }
        Ok(options)
    }

    fn set(&mut self, letter: char) -> bool {
        match letter {
            'b' | 'e' => self.extended = true,
            'c' => self.case_insensitive = false,
            'i' => self.case_insensitive = true,
            'm' | 'n' => (self.stop_at_newline, self.line_anchors) = (true, true),
            'p' => (self.stop_at_newline, self.line_anchors) = (true, false),
            'q' => self.literal = true,
            's' => (self.stop_at_newline, self.line_anchors) = (false, false),
            't' => self.expanded = false,
            'w' => (self.stop_at_newline, self.line_anchors) = (false, true),
            'x' => self.expanded = true,
            _ => return false,
        }
        true
    }
}

/// One match: the whole, and each group that took part.
#[derive(Clone, Debug)]
pub(super) struct Match {
    pub(super) whole: Range<usize>,
    pub(super) groups: Vec<Option<Range<usize>>>,
}

/// A compiled regular expression.
pub(super) struct Pattern {
    engine: Engine,
    groups: usize,
}

enum Engine {
    /// The first way to match is the right one.
    Plain(regex::Regex),
    /// An automaton tells the end.
    Ambiguous {
        searcher: regex::Regex,
        /// Matches up to the end of the text only.
        to_end: regex::Regex,
        automaton: Box<DFA>,
        cache: Box<RefCell<Cache>>,
        preference: Preference,
    },
    Backtracking(Box<fancy_regex::Regex>),
}

thread_local! {
    static CACHE: RefCell<HashMap<(String, String), Rc<Pattern>>> = RefCell::default();
}

/// Compiles a pattern with PostgreSQL's option letters.
///
/// # Errors
/// An option that is none (`22023`), or a pattern that is no regular expression (`2201B`).
pub(super) fn compile(pattern: &str, letters: &str) -> Result<Rc<Pattern>, EvalError> {
    let key = (pattern.to_owned(), letters.to_owned());
    if let Some(found) = CACHE.with_borrow(|cache| cache.get(&key).cloned()) {
        return Ok(found);
    }
    let compiled = Rc::new(build(pattern, Options::of(letters)?)?);
    CACHE.with_borrow_mut(|cache| {
        if cache.len() >= CACHE_SIZE {
            cache.clear();
        }
        cache.insert(key, Rc::clone(&compiled));
    });
    Ok(compiled)
}

/// Reads what may stand before a pattern: `***:`, `***=` and `(?letters)`.
fn prefix<'p>(pattern: &'p str, options: &mut Options) -> Result<&'p str, EvalError> {
    let mut source = pattern;
    if let Some(rest) = source.strip_prefix("***") {
        if let Some(rest) = rest.strip_prefix('=') {
            options.literal = true;
            return Ok(rest);
        }
        source = rest.strip_prefix(':').ok_or_else(|| invalid("quantifier operand invalid"))?;
        options.extended = false;
    }
    if options.literal || options.extended {
        return Ok(source);
    }
    if let Some(rest) = source.strip_prefix("(?")
        && rest.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        let (letters, after) =
            rest.split_once(')').ok_or_else(|| invalid("invalid embedded option"))?;
        for letter in letters.chars() {
            if !options.set(letter) {
                return Err(invalid("invalid embedded option"));
            }
        }
        source = after;
    }
    Ok(source)
}

fn build(pattern: &str, mut options: Options) -> Result<Pattern, EvalError> {
    let source = prefix(pattern, &mut options)?;
    let translated = if options.literal { None } else { Some(translate(source, &options)?) };
    let text = translated.as_ref().map_or_else(|| regex::escape(source), |t| t.source.clone());
    let flags = if options.case_insensitive { "(?si)" } else { "(?s)" };
    let full = format!("{flags}(?:{text})");
    let too_complex = |_| invalid("regular expression is too complex");
    if translated.as_ref().is_some_and(|translated| translated.needs_backtracking) {
        let regex = fancy_regex::RegexBuilder::new(&full)
            .backtrack_limit(BACKTRACK_LIMIT)
            .delegate_size_limit(SIZE_LIMIT)
            .build()
            .map_err(|_| invalid("regular expression is too complex"))?;
        let groups = regex.captures_len() - 1;
        return Ok(Pattern { engine: Engine::Backtracking(Box::new(regex)), groups });
    }
    let regex = |text: &str| regex::RegexBuilder::new(text).size_limit(SIZE_LIMIT).build();
    let searcher = regex(&full).map_err(too_complex)?;
    let groups = searcher.captures_len() - 1;
    let preference = translated.as_ref().map_or(Preference::Long, |t| t.preference);
    let ambiguous = translated.is_some_and(|translated| translated.ambiguous);
    let engine = match ambiguous.then(|| automaton(&full)).flatten() {
        None => Engine::Plain(searcher),
        Some(automaton) => Engine::Ambiguous {
            searcher,
            to_end: regex(&format!("{full}\\z")).map_err(too_complex)?,
            cache: Box::new(RefCell::new(automaton.create_cache())),
            automaton,
            preference,
        },
    };
    Ok(Pattern { engine, groups })
}

fn automaton(full: &str) -> Option<Box<DFA>> {
    let config = DFA::config()
        .match_kind(MatchKind::All)
        .unicode_word_boundary(true)
        .skip_cache_capacity_check(true);
    DFA::builder().configure(config).build(full).ok().map(Box::new)
}

fn too_long_search() -> EvalError {
    EvalError::invalid(
        SqlState::INVALID_REGULAR_EXPRESSION,
        "regular expression failed: it takes too many steps",
    )
}

impl Pattern {
    /// How many groups it has.
    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    /// Whether it matches anywhere.
    pub(super) fn is_match(&self, text: &str) -> Result<bool, EvalError> {
        match &self.engine {
            Engine::Plain(regex) | Engine::Ambiguous { searcher: regex, .. } => {
                Ok(regex.is_match(text))
            }
            Engine::Backtracking(regex) => regex.is_match(text).map_err(|_| too_long_search()),
        }
    }

    /// The first match that starts at `from` or later.
    pub(super) fn find(&self, text: &str, from: usize) -> Result<Option<Match>, EvalError> {
        match &self.engine {
            Engine::Plain(regex) => Ok(self.first_way(regex, text, from)),
            Engine::Backtracking(regex) => {
                let found = regex.captures_from_pos(text, from).map_err(|_| too_long_search())?;
                Ok(found.and_then(|found| {
                    let whole = found.get(0)?.range();
                    let groups = (1..=self.groups).map(|at| found.get(at).map(|g| g.range()));
                    Some(Match { whole, groups: groups.collect() })
                }))
            }
            Engine::Ambiguous { searcher, to_end, automaton, cache, preference } => {
                let Some(first) = searcher.find_at(text, from) else { return Ok(None) };
                let start = first.start();
                let short = *preference == Preference::Short;
                let input = Input::new(text)
                    .span(start..text.len())
                    .anchored(Anchored::Yes)
                    .earliest(short);
                let end = automaton.try_search_fwd(&mut cache.borrow_mut(), &input);
                let end = match end {
                    Ok(Some(half)) => half.offset(),
                    _ => first.end(),
                };
                if end == first.end() || self.groups == 0 {
                    return Ok(match self.groups {
                        0 => Some(Match { whole: start..end, groups: Vec::new() }),
                        _ => self.first_way(searcher, text, from),
                    });
                }
                let cut = self.first_way(to_end, &text[..end], start);
                Ok(match cut.filter(|cut| cut.whole == (start..end)) {
                    Some(cut) => Some(cut),
                    // What follows the match mattered: its groups are those of the first way.
                    None => self.first_way(searcher, text, from),
                })
            }
        }
    }

    fn first_way(&self, regex: &regex::Regex, text: &str, from: usize) -> Option<Match> {
        if self.groups == 0 {
            let whole = regex.find_at(text, from)?.range();
            return Some(Match { whole, groups: Vec::new() });
        }
        let found = regex.captures_at(text, from)?;
        let whole = found.get(0)?.range();
        let groups = (1..=self.groups).map(|at| found.get(at).map(|group| group.range()));
        Some(Match { whole, groups: groups.collect() })
    }

    /// Calls `visit` for the matches from `from` on until it says stop; after an empty match the
    /// search goes on one character later.
    pub(super) fn each(
        &self,
        text: &str,
        from: usize,
        visit: &mut dyn FnMut(Match) -> bool,
    ) -> Result<(), EvalError> {
        let mut at = from;
        while at <= text.len()
            && let Some(found) = self.find(text, at)?
        {
            let whole = found.whole.clone();
            at = whole.end;
            if whole.is_empty() {
                at += text[at..].chars().next().map_or(1, char::len_utf8);
            }
            if !visit(found) {
                break;
            }
        }
        Ok(())
    }
}
