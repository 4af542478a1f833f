//! Progress of pull, push, load and import: a line a step, redrawn on a terminal.

use std::collections::HashMap;
use std::io::{self, Write};

use engine_api::progress::{Aux, Detail, Message};
use engine_client::JsonLines;

use crate::grammar::Failure;
use crate::output::{time, units, write_to};
use crate::terminal;

/// Columns of a terminal that does not say how many it has.
const DEFAULT_COLUMNS: u16 = 200;

/// Where progress goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    Stdout,
    Stderr,
    /// Only errors count.
    Nowhere,
}

/// Shows a stream to its end; gives what the engine reports beside (`aux`).
///
/// # Errors
/// The stream broke, or the engine ended it with an error.
pub async fn show(mut stream: JsonLines<'_>, sink: Sink) -> Result<Vec<Aux>, Failure> {
    let mut display = Display::new(sink);
    let mut reports = Vec::new();
    while let Some(message) = stream.next::<Message>().await? {
        if let Some(detail) = message.error_detail.as_ref().filter(|detail| !detail.message.is_empty()) {
            return Err(Failure::new(&detail.message));
        }
        if !message.error.is_empty() {
            return Err(Failure::new(message.error));
        }
        match &message.aux {
            Some(aux) => reports.push(aux.clone()),
            None => display.show(&message)?,
        }
    }
    Ok(reports)
}

struct Display {
    sink: Sink,
    /// Redraws lines, as opposed to a pipe.
    on_terminal: bool,
    lines: HashMap<String, usize>,
}

impl Display {
    fn new(sink: Sink) -> Self {
        let on_terminal = match sink {
            Sink::Stdout => terminal::is_terminal(io::stdout()),
            Sink::Stderr => terminal::is_terminal(io::stderr()),
            Sink::Nowhere => false,
        };
        Self { sink, on_terminal, lines: HashMap::new() }
    }

    fn show(&mut self, message: &Message) -> Result<(), Failure> {
        let has_bar =
            message.progress_detail.as_ref().is_some_and(|detail| detail.current > 0 || detail.total > 0);
        let end = if message.stream.is_empty() { "\n" } else { "" };
        if !self.on_terminal {
            // A pipe gets each step's beginning and end, not its bar.
            if has_bar || !message.progress.is_empty() {
                return Ok(());
            }
            return self.write(&(line(message, "") + end));
        }
        // Asked for each time: the window may have another size by now.
        let window = self.window();
        let columns = window.map_or(DEFAULT_COLUMNS, |(_, columns)| columns);
        let bar = message.progress_detail.as_ref().filter(|_| has_bar).map(|detail| bar(detail, columns));
        let text = line(message, bar.as_deref().unwrap_or_default());
        if message.id.is_empty() || message.progress_detail.is_none() && !self.lines.contains_key(&message.id)
        {
            self.lines.clear();
            return self.write(&(text + end));
        }
        let count = self.lines.len();
        let index = *self.lines.entry(message.id.clone()).or_insert(count);
        let up = count - index;
        self.write(&redrawn(&text, up, window))
    }

    /// Rows and columns of the terminal that is drawn on.
    fn window(&self) -> Option<(u16, u16)> {
        match self.sink {
            Sink::Stderr => terminal::window_of(io::stderr()),
            _ => terminal::window(),
        }
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        match self.sink {
            Sink::Stdout => write_to(&mut io::stdout().lock(), text.as_bytes()),
            Sink::Stderr => {
                // A closed stderr must not end a pull.
                let _ = io::stderr().lock().write_all(text.as_bytes());
                Ok(())
            }
            Sink::Nowhere => Ok(()),
        }
    }
}

/// `ID: STATUS BAR`.
fn line(message: &Message, bar: &str) -> String {
    let id = if message.id.is_empty() { String::new() } else { format!("{}: ", message.id) };
    match (message.stream.is_empty(), bar.is_empty()) {
        (false, _) => format!("{id}{}", message.stream),
        (true, true) => format!("{id}{}", message.status),
        (true, false) => format!("{id}{} {bar}", message.status),
    }
}

/// What draws a line `up` rows above the cursor anew, 0 for a new one. A line that is too long is cut, for one that
/// wraps would shift all rows; one that has left the window at its top cannot be reached.
fn redrawn(text: &str, up: usize, window: Option<(u16, u16)>) -> String {
    let (rows, columns) = window.map_or((u16::MAX, u16::MAX), |window| window);
    if rows > 0 && up >= usize::from(rows) {
        return String::new();
    }
    let text: String = text.chars().take(usize::from(columns)).collect();
    let to = if up > 0 { format!("\x1b[{up}A") } else { String::new() };
    let back = if up > 1 { format!("\x1b[{}B", up - 1) } else { String::new() };
    format!("{to}\r\x1b[2K{text}\n{back}")
}

/// `[====>    ]  1.2MB/3.4MB`.
fn bar(detail: &Detail, columns: u16) -> String {
    let amount = |count: i64| {
        if detail.units.is_empty() {
            units::human_size(count as f64)
        } else {
            format!("{count} {}", detail.units)
        }
    };
    let current = amount(detail.current);
    if detail.total <= 0 {
        return format!("{current:>8}");
    }
    let mut text = String::new();
    if columns > 110 {
        let percent = (detail.current * 100 / detail.total / 2).clamp(0, 50) as usize;
        let head = if percent < 50 { ">" } else { "" };
        let space = 50usize.saturating_sub(percent + head.len());
        text.push_str(&format!("[{}{head}{}] ", "=".repeat(percent), " ".repeat(space)));
    }
    if !detail.hide_counts {
        let total = amount(detail.total.max(detail.current));
        text.push_str(&format!("{current:>8}/{total}"));
    }
    let elapsed = time::now() - detail.start;
    if detail.start > 0 && detail.current > 0 && detail.current < detail.total && columns > 110 {
        let left = elapsed * (detail.total - detail.current) / detail.current;
        text.push_str(&format!(" {left}s"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_as_docker_draws_them() {
        let detail = |current, total| Detail { current, total, ..Detail::default() };
        assert_eq!(
            bar(&detail(50, 100), 120),
            format!("[{}>{}]      50B/100B", "=".repeat(25), " ".repeat(24))
        );
        assert_eq!(bar(&detail(100, 100), 120), format!("[{}]     100B/100B", "=".repeat(50)));
        assert_eq!(bar(&detail(2_000_000, 0), 120), "     2MB");
        assert_eq!(bar(&detail(1, 2), 80), "      1B/2B");
    }

    #[test]
    fn lines_are_drawn_where_they_stand() {
        assert_eq!(redrawn("abc", 0, None), "\r\x1b[2Kabc\n");
        assert_eq!(redrawn("abc", 1, Some((24, 80))), "\x1b[1A\r\x1b[2Kabc\n");
        assert_eq!(redrawn("abc", 3, Some((24, 80))), "\x1b[3A\r\x1b[2Kabc\n\x1b[2B");
        assert_eq!(redrawn("a long line", 1, Some((24, 6))), "\x1b[1A\r\x1b[2Ka long\n");
        assert_eq!(redrawn("abc", 24, Some((24, 80))), "");
    }
}
