//! Reads `linux.seccomp` as JSON on stdin, writes the BPF program for this machine to stdout, and
//! says on stderr how long it is and how long compiling took (the fastest of many times).

use std::io::{Read, Write};
use std::time::Instant;

use wherry_seccomp::Filter;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let profile: runtime_spec::Seccomp = serde_json::from_str(&text)?;
    let start = Instant::now();
    let filter = Filter::compile(&profile)?;
    let first = start.elapsed();
    let mut best = first;
    for _ in 0..200 {
        let start = Instant::now();
        Filter::compile(&profile)?;
        best = best.min(start.elapsed());
    }
    let mut bytes = Vec::new();
    for i in filter.program() {
        bytes.extend(i.code.to_ne_bytes());
        bytes.extend([i.jt, i.jf]);
        bytes.extend(i.k.to_ne_bytes());
    }
    std::io::stdout().write_all(&bytes)?;
    eprintln!("{} instructions, first {first:?}, best {best:?}", filter.program().len());
    Ok(())
}
