//! `lines.txt`, parsed.

const TEXT: &str = include_str!("lines.txt");

/// A command line.
pub struct Line {
    pub text: &'static str,
    /// The comment that it stands under.
    pub section: &'static str,
    pub words: Vec<String>,
    /// What it reads.
    pub input: String,
    /// Run once before all others.
    pub prepares: bool,
}

impl Line {
    /// Whether asking again asks the same.
    pub fn is_repeatable(&self) -> bool {
        const READS: &[&str] = &[
            "ps",
            "images",
            "image",
            "inspect",
            "history",
            "system",
            "network",
            "volume",
            "container",
            "logs",
            "stats",
            "top",
            "version",
            "info",
        ];
        self.words.first().is_some_and(|word| READS.contains(&word.as_str()))
            && !self.text.contains("{c}")
            && !self.text.contains("prune")
    }
}

/// All lines in their order.
pub fn all() -> Vec<Line> {
    let mut section = "";
    let mut lines = Vec::new();
    for text in TEXT.lines() {
        if let Some(title) = text.strip_prefix('#') {
            section = title.trim();
            continue;
        }
        if text.is_empty() {
            continue;
        }
        let (prepares, rest) = text.strip_prefix("! ").map_or((false, text), |rest| (true, rest));
        let (input, rest) = match rest.strip_prefix("< ").and_then(|rest| rest.split_once(" | ")) {
            Some((input, rest)) => (format!("{input}\n"), rest),
            None => (String::new(), rest),
        };
        lines.push(Line { text, section, words: words(rest), input, prepares });
    }
    lines
}

/// Splits as a shell does: blanks, single and double quotes, a backslash before a double quote.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', Some('"')) if letters.peek().is_some_and(|next| matches!(next, '"' | '\\')) => {
                word.get_or_insert_default().extend(letters.next());
            }
            (mark, Some(open)) if mark == open => quote = None,
            (mark @ ('"' | '\''), None) => {
                word.get_or_insert_default();
                quote = Some(mark);
            }
            (' ', None) => words.extend(word.take()),
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}
