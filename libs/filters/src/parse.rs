//! From text to selectors.

use crate::scan::{Scanner, Sign};
use crate::{Filter, Operator, Selector};
use errdefs::Result;
use regex_lite::Regex;

/// Parses one filter string; an empty one has no selector and so matches everything.
pub(crate) fn filter(text: &str) -> Result<Filter> {
    let mut selectors = Vec::new();
    if !text.is_empty() {
        let mut scanner = Scanner::new(text);
        loop {
            selectors.push(selector(&mut scanner)?);
            if scanner.is_at_end() {
                break;
            }
            if !scanner.separator(',') {
                return Err(scanner.fail("expected a comma or the end"));
            }
        }
    }
    Ok(Filter(selectors))
}

fn selector(scanner: &mut Scanner) -> Result<Selector> {
    let mut path = vec![scanner.field()?];
    while scanner.separator('.') {
        path.push(scanner.field()?);
    }
    let operator = match scanner.sign()? {
        None => Operator::Present,
        Some(Sign::Equal) => Operator::Equal(scanner.value(false)?),
        Some(Sign::NotEqual) => Operator::NotEqual(scanner.value(false)?),
        Some(Sign::Matches) => {
            // containerd compiles the pattern when it looks at an object, and one that is none matches nothing.
            Operator::Matches(Regex::new(&scanner.value(true)?).ok())
        }
    };
    Ok(Selector { path, operator })
}
