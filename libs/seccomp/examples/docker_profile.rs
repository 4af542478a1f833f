//! Prints Docker's default profile for this machine's architecture and kernel 6.1 as
//! `linux.seccomp`, with the capabilities given as arguments.

use wherry_seccomp::Arch;
use wherry_seccomp::profile::{Target, docker_default};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let capabilities: Vec<String> = std::env::args().skip(1).collect();
    let arch = Arch::native().ok_or("no table for this architecture")?;
    let target = Target { capabilities: &capabilities, arch, kernel: (6, 1) };
    println!("{}", serde_json::to_string(&docker_default().resolve(&target)?)?);
    Ok(())
}
