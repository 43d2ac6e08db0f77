//! What a template may not do with its namespaces, found before it runs.
//!
//! A namespace is the only thing in a template that can change, so it is the only way to build a
//! value that contains itself; printing or comparing such a value would never end and take the
//! process's stack with it. So the name of a namespace may stand only before a dot (`ns.count`), and
//! as an argument of a macro, whose parameter is then such a name too: nothing else can hold it.

use crate::error::{Error, Result};
use minijinja::machinery::{tokenize, Token};
use minijinja::syntax::SyntaxConfig;
use std::collections::{HashMap, HashSet};

const KEYWORDS: [&str; 12] =
    ["if", "elif", "in", "not", "and", "or", "is", "else", "set", "for", "do", "with"];

struct Source<'a> {
    tokens: Vec<Token<'a>>,
    lines: Vec<u16>,
    offsets: Vec<usize>,
}

/// Where a bare name stands among the arguments of a call.
struct Argument<'a> {
    function: &'a str,
    place: usize,
}

impl<'a> Source<'a> {
    fn ident(&self, at: usize) -> Option<&'a str> {
        match self.tokens.get(at)? {
            Token::Ident(name) => Some(name),
            _ => None,
        }
    }

    fn is(&self, at: Option<usize>, wanted: fn(&Token) -> bool) -> bool {
        at.and_then(|at| self.tokens.get(at)).is_some_and(wanted)
    }

    fn before(&self, at: usize) -> Option<usize> {
        at.checked_sub(1)
    }

    /// `set NAME = namespace(`, where `at` is the place of `namespace`.
    fn made_namespace(&self, at: usize) -> Option<&'a str> {
        let starts = at >= 3 && self.ident(at - 3) == Some("set");
        let assigned = self.is(self.before(at), |t| matches!(t, Token::Assign));
        let called = self.is(Some(at + 1), |t| matches!(t, Token::ParenOpen));
        (starts && assigned && called).then(|| self.ident(at - 2)).flatten()
    }

    fn is_attribute(&self, at: usize) -> bool {
        self.is(self.before(at), |t| matches!(t, Token::Dot | Token::Pipe))
    }

    /// The call whose argument is exactly the name at this place.
    fn argument(&self, at: usize) -> Option<Argument<'a>> {
        if !self.is(Some(at + 1), |t| matches!(t, Token::Comma | Token::ParenClose)) {
            return None;
        }
        let (mut open, mut place, mut at) = (0, 0, self.before(at)?);
        if !matches!(self.tokens[at], Token::Comma | Token::ParenOpen) {
            return None;
        }
        loop {
            match self.tokens[at] {
                Token::ParenClose | Token::BracketClose | Token::BraceClose => open += 1,
                Token::ParenOpen if open == 0 => break,
                Token::BracketOpen | Token::BraceOpen if open == 0 => return None,
                Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => open -= 1,
                Token::Comma if open == 0 => place += 1,
                Token::BlockStart | Token::VariableStart => return None,
                _ => {}
            }
            at = self.before(at)?;
        }
        let function = self.ident(self.before(at)?).filter(|name| !KEYWORDS.contains(name))?;
        Some(Argument { function, place })
    }

    /// The parameters of every macro, and the places of their names.
    fn macros(&self) -> (HashMap<&'a str, Vec<&'a str>>, HashSet<usize>) {
        let (mut macros, mut places) = (HashMap::new(), HashSet::new());
        for at in 1..self.tokens.len() {
            let (Some("macro"), Some(name)) = (self.ident(at - 1), self.ident(at)) else {
                continue;
            };
            let mut parameters = Vec::new();
            let mut next = at + 2;
            while !self.is(Some(next), |t| matches!(t, Token::BlockEnd)) && next < self.tokens.len()
            {
                let begins = |t: &Token| matches!(t, Token::ParenOpen | Token::Comma);
                if let (true, Some(parameter)) =
                    (self.is(self.before(next), begins), self.ident(next))
                {
                    parameters.push(parameter);
                    places.insert(next);
                }
                next += 1;
            }
            if macros.insert(name, parameters).is_some() {
                macros.insert(name, Vec::new()); // two of one name: neither is known
            }
        }
        (macros, places)
    }
}

/// What `namespace` is called where it may be called. By its own name it is not there, so that no
/// other name can be given to it.
pub const NAMESPACE: &str = "checked_namespace";

/// The source with `namespace` so renamed. Errors: Invalid, with the line.
pub fn checked(source: &str, syntax: SyntaxConfig) -> Result<String> {
    let mut code = Source { tokens: Vec::new(), lines: Vec::new(), offsets: Vec::new() };
    for token in tokenize(source, false, syntax) {
        let Ok((token, span)) = token else {
            return Ok(source.to_string()); // the parser says better what is wrong
        };
        code.tokens.push(token);
        code.lines.push(span.start_line);
        code.offsets.push(span.start_offset as usize);
    }
    let refused = |at: usize, why: &str| {
        Err(Error::invalid(format!("the chat template, line {}: {why}", code.lines[at])))
    };
    let (mut names, mut calls) = (HashSet::new(), Vec::new());
    for at in 0..code.tokens.len() {
        if code.is_attribute(at) {
            continue;
        }
        if code.ident(at) == Some(NAMESPACE) {
            return refused(at, "this name is taken");
        }
        if let (Some("namespace"), Some(name)) = (code.ident(at), code.made_namespace(at)) {
            names.insert(name);
            calls.push(code.offsets[at]);
        }
    }
    let (macros, parameter_places) = code.macros();
    let mut known = 0;
    while known != names.len() {
        known = names.len();
        for at in 0..code.tokens.len() {
            let Some(name) = code.ident(at).filter(|name| names.contains(name)) else { continue };
            let dotted = code.is(Some(at + 1), |t| matches!(t, Token::Dot));
            let assigned = at > 0
                && code.ident(at - 1) == Some("set")
                && code.is(Some(at + 1), |t| matches!(t, Token::Assign));
            let keyword = code.is(Some(at + 1), |t| matches!(t, Token::Assign))
                && code.is(code.before(at), |t| matches!(t, Token::ParenOpen | Token::Comma));
            if dotted
                || assigned
                || keyword
                || code.is_attribute(at)
                || parameter_places.contains(&at)
            {
                continue;
            }
            let parameter = code
                .argument(at)
                .and_then(|argument| macros.get(argument.function)?.get(argument.place));
            match parameter {
                Some(parameter) => names.insert(parameter),
                None => {
                    let why = format!("the namespace '{name}' may only be used as in {name}.x");
                    return refused(at, &why);
                }
            };
        }
    }
    let mut renamed = source.to_string();
    for begin in calls.into_iter().rev() {
        renamed.replace_range(begin..begin + "namespace".len(), NAMESPACE);
    }
    Ok(renamed)
}
