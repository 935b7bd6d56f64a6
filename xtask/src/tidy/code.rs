//! What of a Rust file is code, and which lines are compiled for tests alone. A reader of shapes, not a parser.

/// The text with comments and the insides of string and character literals replaced by spaces, line for line.
pub(super) fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = code.ends_with(is_word);
        let length = if rest.starts_with("//") {
            blank(&mut code, rest, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            blank(&mut code, rest, block_comment(rest))
        } else if let Some(length) = raw_string(rest).filter(|_| !after_word) {
            blank(&mut code, rest, length)
        } else if first == '"' {
            blank(&mut code, rest, string(rest))
        } else if let Some(length) = character(rest) {
            blank(&mut code, rest, length)
        } else {
            code.push(first);
            first.len_utf8()
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    code
}

/// For each line of [`code_of`]'s result, whether it belongs to an item under `#[cfg(test)]` or `#[test]`.
pub(super) fn test_lines(code: &str) -> Vec<bool> {
    let mut lines = Vec::new();
    // Inside a test item: how deep in braces, and whether its first brace was seen.
    let mut item: Option<(usize, bool)> = None;
    for line in code.lines() {
        let starts = ["#[cfg(test)]", "#[cfg(all(test", "#[test]"]
            .iter()
            .any(|start| line.trim_start().starts_with(start));
        if item.is_none() && starts {
            item = Some((0, false));
        }
        lines.push(item.is_some());
        let is_attribute = line.trim_start().starts_with("#[") && line.trim_end().ends_with(']');
        for sign in line.chars().filter(|_| !is_attribute) {
            item = match (item, sign) {
                (Some((depth, _)), '{') => Some((depth + 1, true)),
                (Some((0 | 1, true)), '}') | (Some((0, false)), ';') => None,
                (Some((depth, seen)), '}') => Some((depth.saturating_sub(1), seen)),
                (item, _) => item,
            };
        }
    }
    lines
}

/// Whether `sign` may stand inside a name.
pub(super) fn is_word(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}

fn blank(code: &mut String, rest: &str, length: usize) -> usize {
    let hidden = rest.get(..length).unwrap_or(rest);
    code.extend(hidden.chars().map(|sign| if sign == '\n' { '\n' } else { ' ' }));
    hidden.len()
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
        if tail.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if tail.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += tail.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// Length of a raw string such as `r#"…"#` or `br"…"` that `rest` begins with.
fn raw_string(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('b').or_else(|| rest.strip_prefix('c')).unwrap_or(rest).strip_prefix('r')?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let inside = body.get(hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = rest.len() - inside.len();
    Some(inside.find(&end).map_or(rest.len(), |at| start + at + end.len()))
}

fn string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, sign) in rest.char_indices().skip(1) {
        match sign {
            '"' if !escaped => return at + 1,
            _ => escaped = sign == '\\' && !escaped,
        }
    }
    rest.len()
}

/// Length of a character literal that `rest` begins with; `None` for a lifetime.
fn character(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    let first = inside.chars().next()?;
    let end = if first == '\\' { inside.get(2..)?.find('\'')? + 2 } else { first.len_utf8() };
    inside.get(end..)?.starts_with('\'').then_some(end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        let rows = [
            ("plain code", "let a = b;", "let a = b;"),
            ("a comment", "a; // b\nc;", "a;     \nc;"),
            ("comments in comments", "a /* b /* c */ d */ e", "a                   e"),
            ("a string", r#"f("a // b", c)"#, r"f(        , c)"),
            ("an escaped quote", r#"f("a\"b", c)"#, r"f(      , c)"),
            ("an escaped backslash", r#"f("\\", c)"#, r"f(    , c)"),
            ("a raw string", r##"f(r#"a"b"#, c)"##, r"f(        , c)"),
            ("a name that ends in r", r#"for"a"b"#, "for   b"),
            ("a quote as character", "f('\"', c)", "f(   , c)"),
            ("an escaped character", r"f('\'', c)", r"f(    , c)"),
            ("a lifetime", "fn f<'a>(a: &'a str)", "fn f<'a>(a: &'a str)"),
            ("a string over two lines", "\"a\nb\" c", "  \n   c"),
            ("an open string", "a \"b", "a   "),
        ];
        for (description, text, code) in rows {
            assert_eq!(code_of(text), code, "{description}");
        }
    }

    #[test]
    fn test_items_are_told_apart() {
        let text = "fn a() {}\n#[cfg(test)]\nmod b;\nfn c() {}\n#[cfg(test)]\nmod d {\n    fn e() { f() }\n}\nfn g() {}\n";
        assert_eq!(test_lines(text), [false, true, true, false, true, true, true, true, false]);
    }
}
