//! How fast a log is written and read back: `throughput DIRECTORY MIB`, lines of 100 bytes and their ends
//! as a container writes them, for each driver, in MiB a second of the container's own bytes.

use std::path::Path;
use std::time::{Duration, Instant};
use wherry_logs::{Driver, Logger, Options, Reader, Selection, Stream};

/// What one read of a pipe gives.
const CHUNK_BYTES: usize = 32 * 1024;
const MIB: f64 = 1024.0 * 1024.0;

/// A time by the clock and by the processor.
struct Watch(Instant, Duration);

impl Watch {
    fn start() -> Watch {
        Watch(Instant::now(), syscalls::usage::own_cpu())
    }

    fn tell(&self, what: &str, bytes: usize) {
        let (wall, cpu) = (self.0.elapsed(), syscalls::usage::own_cpu() - self.1);
        let rate = |time: Duration| bytes as f64 / MIB / time.as_secs_f64();
        println!("{what:<20} {:>8.0} MiB/s  {:>8.0} MiB/s of processor time", rate(wall), rate(cpu));
    }
}

async fn write(driver: Driver, path: &Path, text: &[u8], bytes: usize) -> std::io::Result<()> {
    let pairs = [("driver", driver.to_string()), ("path", path.display().to_string())];
    let options = Options::from_pairs(pairs).map_err(std::io::Error::other)?;
    let (logger, watch, mut written) = (Logger::open(&options).await?, Watch::start(), 0);
    while written < bytes {
        for chunk in text.chunks(CHUNK_BYTES) {
            logger.write(Stream::Stdout, chunk).await;
        }
        written += text.len();
    }
    logger.close().await;
    watch.tell(&format!("{driver} written"), written);
    Ok(())
}

fn read(driver: Driver, path: &Path) -> std::io::Result<()> {
    let (mut reader, watch, mut bytes) =
        (Reader::open(driver, path, Selection::default())?, Watch::start(), 0);
    while let Some(entry) = reader.next_now()? {
        bytes += entry.line.len();
    }
    watch.tell(&format!("{driver} read"), bytes);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [directory, mib] = words.as_slice() else { return Err("usage: throughput DIRECTORY MIB".into()) };
    let bytes = mib.parse::<usize>()? << 20;
    let line = "The quick brown fox jumps over the lazy dog, \"twice\", and 0123456789 is not a word at all, is it? yes.\n";
    let text = line[line.len() - 101..].repeat(10_240);
    for driver in [Driver::JsonFile, Driver::Local] {
        let path = Path::new(directory).join(format!("throughput.{}", std::process::id()));
        let done = match write(driver, &path, text.as_bytes(), bytes).await {
            Ok(()) => read(driver, &path),
            failed => failed,
        };
        let _ = std::fs::remove_file(&path);
        done?;
    }
    Ok(())
}
