//! The walk along a template of a number, to write it or to read it.

use super::{Key, Node, SignPlace, Template};

/// The state of writing.
struct Writer<'t> {
    template: &'t Template,
    /// The digits, with their point.
    number: Vec<char>,
    /// The next of them.
    at: usize,
    sign: char,
    sign_written: bool,
    /// Places before the first digit.
    spaces: usize,
    /// Places of the template so far.
    place: usize,
    places: usize,
    /// The last digit that is shown where nothing is filled.
    last_relevant: Option<usize>,
    inside: bool,
    /// The digits ran out, with which PostgreSQL ends the text.
    ended: bool,
    out: String,
}

/// Writes a number by a template: its digits without sign, the places before them, its sign.
pub(super) fn show(template: &mut Template, number: &str, spaces: usize, sign: char) -> String {
    template.zero_start = template.zero_start.saturating_sub(1);
    let mut sign_written = false;
    if template.roman {
        let nodes = std::mem::take(&mut template.nodes);
        *template =
            Template { nodes, no_fill: template.no_fill, roman: true, ..Template::default() };
    }
    if template.plus || template.minus {
        sign_written = template.minus;
    } else {
        if sign != '-' && template.no_fill {
            template.brackets = false;
        }
        sign_written |= sign == '+' && template.no_fill && !template.local_sign;
        if template.sign_place == SignPlace::Before && template.before == template.before_sign {
            template.sign_place = SignPlace::After;
        }
    }
    let number: Vec<char> = number.chars().collect();
    let mut last_relevant = None;
    if template.no_fill && template.decimal {
        last_relevant = number.iter().position(|c| *c == '.').map(|point| {
            let last = number[point + 1..].iter().rposition(|c| *c != '0');
            let last = last.map_or(point, |last| point + 1 + last);
            if template.zero_end > spaces {
                last.max((number.len() - 1).min(template.zero_end - spaces))
            } else {
                last
            }
        });
    }
    let mut places = (template.before + template.after).saturating_sub(1);
    places += usize::from(!sign_written && spaces == 0);
    let template: &Template = template;
    let out = String::new();
    let mut writer = Writer {
        template,
        number,
        at: 0,
        sign,
        sign_written,
        spaces,
        place: 0,
        places,
        last_relevant,
        inside: false,
        ended: false,
        out,
    };
    for node in &template.nodes {
        if writer.ended {
            break;
        }
        match node {
            Node::Pattern(key) => writer.write(*key),
            Node::Literal(c) => writer.out.push(*c),
        }
    }
    writer.out
}

impl Writer<'_> {
    fn write(&mut self, key: Key) {
        let no_fill = self.template.no_fill;
        match key {
            Key::Nine | Key::Zero | Key::Point | Key::LocalPoint => self.digit(key),
            Key::Comma | Key::Group if self.inside => self.out.push(','),
            Key::Comma | Key::Group => self.blank(),
            Key::Currency => self.out.push(' '),
            Key::Roman | Key::SmallRoman => {
                let mut text: String = self.number.iter().collect();
                if key == Key::SmallRoman {
                    text.make_ascii_lowercase();
                }
                let width = if no_fill { 0 } else { 15 };
                self.out.push_str(&format!("{text:>width$}"));
            }
            Key::Ordinal | Key::SmallOrdinal => self.ordinal(key == Key::Ordinal),
            Key::Minus if self.sign == '-' => self.out.push('-'),
            Key::Plus if self.sign == '+' => self.out.push('+'),
            Key::Minus | Key::Plus => self.blank(),
            Key::AnySign => self.out.push(self.sign),
            Key::Blank | Key::Exponent | Key::NoFill | Key::Brackets | Key::Sign | Key::Shift => {}
        }
    }

    fn blank(&mut self) {
        if !self.template.no_fill {
            self.out.push(' ');
        }
    }

    fn ordinal(&mut self, capital: bool) {
        let hidden = self.template.roman || self.sign == '-' || self.template.decimal;
        if hidden || self.number.first() == Some(&'#') {
            return;
        }
        let digits: String = self.number.iter().collect();
        let text = super::super::format_times::ordinal(&digits);
        self.out.push_str(&if capital { text.to_ascii_uppercase() } else { text.to_owned() });
    }

    /// Whether this is the 0 of `0.1`, which `9.9` does not show.
    fn is_hidden_zero(&self) -> bool {
        !self.template.zero
            && self.at == 0
            && self.number.first() == Some(&'0')
            && self.template.after != 0
    }

    fn relevant_is_point(&self) -> bool {
        self.last_relevant.is_some_and(|last| self.number.get(last) == Some(&'.'))
    }

    fn write_sign(&mut self) {
        let template = self.template;
        if template.local_sign {
            if template.sign_place == SignPlace::Before {
                self.out.push(self.sign);
                self.sign_written = true;
            }
            return;
        }
        if template.brackets {
            self.out.push(if self.sign == '+' { ' ' } else { '<' });
        } else if self.sign == '-' {
            self.out.push('-');
        } else if !template.no_fill {
            self.out.push(' ');
        }
        self.sign_written = true;
    }

    fn digit(&mut self, key: Key) {
        let template = self.template;
        if template.roman {
            return;
        }
        self.inside = false;
        let starts =
            self.place >= self.spaces || (template.zero && template.zero_start == self.place);
        if !self.sign_written && starts && (!self.is_hidden_zero() || self.relevant_is_point()) {
            self.write_sign();
        }
        if self.place < self.spaces && (template.zero_start > self.place || !template.zero) {
            self.blank();
        } else if template.zero && self.place < self.spaces {
            self.out.push('0');
            self.inside = true;
        } else {
            self.number_character(key);
        }
        let mut end = self.places + usize::from(self.spaces > 0) + usize::from(template.decimal);
        if self.last_relevant == Some(self.at) {
            end = self.place;
        }
        if self.place + 1 == end {
            if self.sign_written && template.brackets {
                self.out.push(if self.sign == '+' { ' ' } else { '>' });
            } else if template.local_sign && template.sign_place == SignPlace::After {
                self.out.push(self.sign);
            }
        }
        self.place += 1;
    }

    fn number_character(&mut self, key: Key) {
        match self.number.get(self.at) {
            None => {
                self.ended = self.last_relevant.is_none() || key == Key::Zero;
                return;
            }
            Some('.') => {
                if !self.relevant_is_point() || self.template.no_fill {
                    self.out.push('.');
                }
            }
            Some(digit) => {
                let beyond = self.last_relevant.is_some_and(|last| self.at > last);
                if beyond && key != Key::Zero {
                } else if self.is_hidden_zero() {
                    if !self.template.no_fill {
                        self.out.push(' ');
                    } else if self.relevant_is_point() {
                        self.out.push('0');
                    }
                } else {
                    self.out.push(*digit);
                    self.inside = true;
                }
            }
        }
        self.at += 1;
    }
}

/// The state of reading.
struct Reader<'t> {
    template: &'t Template,
    input: Vec<char>,
    at: usize,
    /// `+` or `-`, or a blank as long as none was read.
    sign: char,
    digits: String,
    before: usize,
    after: usize,
    point: bool,
}

/// The number that a text is by a template, and how many digits after the point were read.
pub(super) fn read(template: &mut Template, input: &str) -> (String, usize) {
    let template: &Template = template;
    let mut reader = Reader {
        template,
        input: input.chars().collect(),
        at: 0,
        sign: ' ',
        digits: String::new(),
        before: 0,
        after: 0,
        point: false,
    };
    for node in &template.nodes {
        if reader.at >= reader.input.len() {
            break;
        }
        match node {
            Node::Pattern(key) => reader.take(*key),
            Node::Literal(_) => reader.at += 1,
        }
    }
    let digits = reader.digits.strip_suffix('.').unwrap_or(&reader.digits);
    (format!("{}{digits}", reader.sign), reader.after)
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.input.get(self.at).copied()
    }

    fn take(&mut self, key: Key) {
        match key {
            Key::Nine | Key::Zero | Key::Point | Key::LocalPoint => {
                self.digit(key);
                self.at += 1;
            }
            Key::Comma | Key::Group => self.at += usize::from(self.peek() == Some(',')),
            Key::Currency => self.skip(1),
            Key::Ordinal | Key::SmallOrdinal => self.skip(2),
            Key::Minus | Key::Plus | Key::AnySign => match self.peek() {
                Some(sign @ '-') if key != Key::Plus => {
                    self.sign = sign;
                    self.at += 1;
                }
                Some(sign @ '+') if key != Key::Minus => {
                    self.sign = sign;
                    self.at += 1;
                }
                _ => self.skip(1),
            },
            Key::Blank
            | Key::Exponent
            | Key::NoFill
            | Key::Brackets
            | Key::Roman
            | Key::SmallRoman
            | Key::Sign
            | Key::Shift => {}
        }
    }

    /// Passes over characters that are no part of a number.
    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            if self.peek().is_none_or(|c| "0123456789.,+-".contains(c)) {
                return;
            }
            self.at += 1;
        }
    }

    fn digit(&mut self, key: Key) {
        let template = self.template;
        if self.peek() == Some(' ') {
            self.at += 1;
        }
        let first = self.before + self.after == 0;
        if self.sign == ' ' && first && matches!(key, Key::Nine | Key::Zero) {
            let local = template.local_sign && template.sign_place == SignPlace::Before;
            match self.peek() {
                Some('-') => (self.sign, self.at) = ('-', self.at + 1),
                Some('<') if !local && template.brackets => {
                    (self.sign, self.at) = ('-', self.at + 1);
                }
                Some('+') => (self.sign, self.at) = ('+', self.at + 1),
                _ => {}
            }
        }
        let Some(next) = self.peek() else { return };
        let mut taken = false;
        if next.is_ascii_digit() {
            if self.point && self.after == template.after {
                return;
            }
            self.digits.push(next);
            if self.point {
                self.after += 1;
            } else {
                self.before += 1;
            }
            taken = true;
        } else if template.decimal && !self.point && next == '.' {
            self.digits.push('.');
            self.point = true;
            taken = true;
        }
        if self.sign != ' ' || self.before + self.after == 0 {
            return;
        }
        let after = self.input.get(self.at + 1).copied();
        if template.local_sign && taken && after.is_some_and(|c| !c.is_ascii_digit()) {
            if let Some(sign @ ('-' | '+')) = after {
                self.sign = sign;
                self.at += 1;
            }
        } else if !taken
            && !template.local_sign
            && (template.plus || template.minus)
            && matches!(next, '-' | '+')
        {
            self.sign = next;
        }
    }
}
