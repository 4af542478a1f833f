//! Columns aligned as Go's text/tabwriter aligns them.

const PADDING: usize = 3;

/// Aligns lines of tab-terminated cells; the text after a line's last tab is no cell.
/// A column is a run of neighbouring lines that have it.
pub fn align(text: &str, minimum: usize) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|line| vec![0; line.len() - 1]).collect();
    let deepest = widths.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..deepest {
        let mut start = 0;
        while start < lines.len() {
            let run = widths[start..].iter().take_while(|row| row.len() > column).count();
            let widest =
                lines[start..start + run].iter().map(|line| line[column].chars().count() + PADDING).max();
            for row in &mut widths[start..start + run] {
                row[column] = widest.unwrap_or(0).max(minimum);
            }
            start += run.max(1);
        }
    }
    let mut out = String::with_capacity(text.len() * 2);
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        for (column, cell) in line.iter().enumerate() {
            out.push_str(cell);
            if let Some(width) = widths[index].get(column) {
                out.extend(std::iter::repeat_n(' ', width - cell.chars().count()));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_padded_by_their_column() {
        assert_eq!(align("A\tB\nlonger cell\tx\n", 10), "A             B\nlonger cell   x\n");
        assert_eq!(align("ü\tB", 10), "ü         B");
        assert_eq!(align("no cells\n", 10), "no cells\n");
    }
}
