//! Loggers and readers on real files and sockets.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use wherry_logs::{Driver, Entry, Logger, Loss, Options, Reader, Selection, Stream, Time};

fn options(driver: &str, path: &Path, more: &[(&str, &str)]) -> Options {
    let path = path.to_str().unwrap();
    Options::from_pairs([("driver", driver), ("path", path)].into_iter().chain(more.iter().copied())).unwrap()
}

async fn all(mut reader: Reader) -> Vec<Entry> {
    let mut entries = Vec::new();
    while let Some(entry) = reader.next().await.unwrap() {
        entries.push(entry);
    }
    entries
}

fn texts(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| String::from_utf8_lossy(&entry.line).into_owned()).collect()
}

fn tail(n: u64) -> Selection {
    Selection { tail: Some(n), ..Default::default() }
}

#[tokio::test]
async fn lines_come_back_with_their_streams() {
    for (name, driver) in [("json-file", Driver::JsonFile), ("local", Driver::Local)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let logger = Logger::open(&options(name, &path, &[])).await.unwrap();
        logger.write(Stream::Stdout, b"one\ntw").await;
        logger.write(Stream::Stderr, b"oops\n").await;
        logger.write(Stream::Stdout, b"o\n\nlast").await;
        assert_eq!(logger.close().await, None);
        let entries = all(Reader::open(driver, &path, Selection::default()).unwrap()).await;
        assert_eq!(texts(&entries), ["one\n", "oops\n", "two\n", "\n", "last"]);
        assert_eq!(entries[1].stream, Stream::Stderr);
        assert!(entries[4].is_partial());
        let last = all(Reader::open(driver, &path, tail(2)).unwrap()).await;
        assert_eq!(texts(&last), ["\n", "last"]);
        assert!(all(Reader::open(driver, &path, tail(0)).unwrap()).await.is_empty());
    }
}

#[tokio::test]
async fn rotation_keeps_dockers_names_and_readers_cross_it() {
    for (name, driver) in [("json-file", Driver::JsonFile), ("local", Driver::Local)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let logger =
            Logger::open(&options(name, &path, &[("max-size", "1k"), ("max-file", "3")])).await.unwrap();
        for i in 0..100 {
            logger.write(Stream::Stdout, format!("line {i} {}\n", "x".repeat(40)).as_bytes()).await;
        }
        logger.close().await;
        let mut names: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["log", "log.1", "log.2"]);
        let entries = all(Reader::open(driver, &path, Selection::default()).unwrap()).await;
        let numbers: Vec<u32> =
            texts(&entries).iter().map(|l| l.split(' ').nth(1).unwrap().parse().unwrap()).collect();
        assert_eq!(numbers.last(), Some(&99));
        assert!(numbers.len() > 15 && numbers.windows(2).all(|w| w[1] == w[0] + 1), "{numbers:?}");
        let last = all(Reader::open(driver, &path, tail(12)).unwrap()).await;
        assert_eq!(texts(&last), texts(&entries[entries.len() - 12..]));
    }
}

#[tokio::test]
async fn one_file_is_cut_to_nothing_when_full() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let logger = Logger::open(&options("json-file", &path, &[("max-size", "1k")])).await.unwrap();
    for _ in 0..100 {
        logger.write(Stream::Stdout, b"0123456789\n").await;
    }
    logger.close().await;
    assert!(std::fs::metadata(&path).unwrap().len() < 1200);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_follower_sees_every_line_through_rotations_and_ends_when_told() {
    for (name, driver) in [("json-file", Driver::JsonFile), ("local", Driver::Local)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        // The reader is there before the log.
        let mut reader = Reader::open(driver, &path, Selection::default()).unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        reader.follow_until(async {
            let _ = stopped.await;
        });
        let following = tokio::spawn(all(reader));
        tokio::task::yield_now().await;
        let logger =
            Logger::open(&options(name, &path, &[("max-size", "2k"), ("max-file", "5")])).await.unwrap();
        for i in 0..60 {
            logger.write(Stream::Stdout, format!("{i}\n").as_bytes()).await;
            if i % 7 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        logger.close().await;
        stop.send(()).unwrap();
        let seen = texts(&following.await.unwrap());
        assert_eq!(seen, (0..60).map(|i| format!("{i}\n")).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn since_and_until_select() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut file = std::fs::File::create(&path).unwrap();
    for second in 0..10 {
        writeln!(file, r#"{{"log":"{second}\n","stream":"stdout","time":"2024-01-01T00:00:0{second}Z"}}"#)
            .unwrap();
    }
    let at = |second: i64| Time(Time::parse("2024-01-01T00:00:00Z").unwrap().0 + second * 1_000_000_000);
    let selection = Selection { tail: None, since: Some(at(3)), until: Some(at(5)) };
    let mut reader = Reader::open(Driver::JsonFile, &path, selection).unwrap();
    reader.follow_until(std::future::pending());
    assert_eq!(texts(&all(reader).await), ["3\n", "4\n", "5\n"]);
}

#[tokio::test]
async fn a_torn_end_is_passed_over_and_repaired() {
    for (name, driver) in [("json-file", Driver::JsonFile), ("local", Driver::Local)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let logger = Logger::open(&options(name, &path, &[])).await.unwrap();
        logger.write(Stream::Stdout, b"one\ntwo\nthree\n").await;
        logger.close().await;
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() - 3).unwrap();
        let torn = all(Reader::open(driver, &path, Selection::default()).unwrap()).await;
        assert_eq!(texts(&torn), ["one\n", "two\n"], "{name}");
        let logger = Logger::open(&options(name, &path, &[])).await.unwrap();
        logger.write(Stream::Stdout, b"four\n").await;
        logger.close().await;
        let whole = all(Reader::open(driver, &path, Selection::default()).unwrap()).await;
        assert_eq!(texts(&whole), ["one\n", "two\n", "four\n"], "{name}");
        assert_eq!(texts(&all(Reader::open(driver, &path, tail(1)).unwrap()).await), ["four\n"]);
    }
}

async fn frame(stream: &mut UnixStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 8];
    stream.read_exact(&mut head).await.ok()?;
    let mut bytes = vec![0; u32::from_be_bytes(head[4..].try_into().unwrap()) as usize];
    stream.read_exact(&mut bytes).await.ok()?;
    Some((head[0], bytes))
}

#[tokio::test]
async fn readers_attach_at_any_time_and_a_gone_one_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    // Longer than a socket address.
    let deep = dir.path().join("d".repeat(100));
    std::fs::create_dir(&deep).unwrap();
    let link = dir.path().join("l");
    std::os::unix::fs::symlink(&deep, &link).unwrap();
    let attach = deep.join("attach");
    let options = Options::from_pairs([("driver", "none"), ("attach", attach.to_str().unwrap())]).unwrap();
    let logger = Logger::open(&options).await.unwrap();
    let mut first = UnixStream::connect(link.join("attach")).await.unwrap();
    assert_eq!(frame(&mut first).await, Some((0, vec![])));
    logger.write(Stream::Stdout, b"a").await;
    let mut second = UnixStream::connect(link.join("attach")).await.unwrap();
    assert_eq!(frame(&mut second).await, Some((0, vec![])));
    let third = UnixStream::connect(link.join("attach")).await.unwrap();
    drop(third);
    logger.write(Stream::Stderr, b"b").await;
    assert_eq!(frame(&mut first).await, Some((1, b"a".to_vec())));
    assert_eq!(frame(&mut first).await, Some((2, b"b".to_vec())));
    assert_eq!(frame(&mut second).await, Some((2, b"b".to_vec())));
    logger.close().await;
    assert_eq!(frame(&mut first).await, None);
    assert!(!attach.exists());
}

#[tokio::test]
async fn a_slow_reader_slows_the_writer_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let attach = dir.path().join("a");
    let options = Options::from_pairs([("driver", "none"), ("attach", attach.to_str().unwrap())]).unwrap();
    let logger = std::sync::Arc::new(Logger::open(&options).await.unwrap());
    let mut reader = UnixStream::connect(&attach).await.unwrap();
    assert_eq!(frame(&mut reader).await, Some((0, vec![])));
    let chunk = vec![7; 60_000];
    let writer = tokio::spawn({
        let (logger, chunk) = (logger.clone(), chunk.clone());
        async move {
            for _ in 0..50 {
                logger.write(Stream::Stdout, &chunk).await;
            }
            logger.close().await;
        }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!writer.is_finished(), "3 MB are in flight for a reader that reads nothing");
    let mut total = 0;
    while let Some((stream, bytes)) = frame(&mut reader).await {
        assert_eq!(stream, 1);
        total += bytes.len();
    }
    writer.await.unwrap();
    assert_eq!(total, 50 * chunk.len());
}

#[tokio::test]
async fn a_full_disk_is_waited_for() {
    // /dev/full refuses every write: nothing is lost until 4 MiB are held.
    let options = options("json-file", Path::new("/dev/full"), &[]);
    let Ok(logger) = Logger::open(&options).await else { return };
    logger.write(Stream::Stdout, b"held\n").await;
    let begun = Instant::now();
    assert_eq!(logger.close().await, Some(Loss::End));
    assert!(begun.elapsed() > Duration::from_millis(500), "it tried again");
}

/// A disk that hangs, as a pipe that is full: who writes waits, everything else on the thread goes on.
#[tokio::test]
async fn a_file_that_hangs_holds_up_its_writer_alone_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
    let mut reader = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    let logger = std::sync::Arc::new(Logger::open(&options("local", &path, &[])).await.unwrap());
    let line = |i: u32| format!("{i:050}\n");
    let lines = 5_000;
    let writing = tokio::spawn({
        let logger = logger.clone();
        async move {
            for i in 0..lines {
                logger.write(Stream::Stdout, line(i).as_bytes()).await;
            }
            logger.close().await
        }
    });
    // Only a thread of the log's own fills the pipe and hangs while this one looks.
    while rustix::io::ioctl_fionread(&reader).unwrap() < 60_000 {
        tokio::task::yield_now().await;
    }
    logger.rest();
    logger.finish(Stream::Stderr);
    assert!(!writing.is_finished());
    let emptied = tokio::task::spawn_blocking(move || {
        let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
        let last = line(lines - 1).into_bytes();
        while !bytes.windows(last.len()).rev().take(64).any(|window| window == last) {
            let size = std::io::Read::read(&mut reader, &mut chunk).unwrap();
            bytes.extend_from_slice(&chunk[..size]);
        }
        bytes
    });
    assert_eq!(writing.await.unwrap(), None);
    let copy = dir.path().join("copy");
    std::fs::write(&copy, emptied.await.unwrap()).unwrap();
    let entries = all(Reader::open(Driver::Local, &copy, Selection::default()).unwrap()).await;
    assert_eq!(texts(&entries), (0..lines).map(line).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_end_of_a_log_that_hangs_is_said_to_be_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
    let logger = Logger::open(&options("local", &path, &[])).await.unwrap();
    let reader = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    {
        let write = logger.write(Stream::Stdout, &[b'x'; 200_000]);
        tokio::pin!(write);
        assert!(
            std::future::poll_fn(|cx| std::task::Poll::Ready(write.as_mut().poll(cx))).await.is_pending()
        );
    }
    assert_eq!(logger.close().await, Some(Loss::End));
    // The thread that hangs is let go.
    let mut chunk = vec![0; 1 << 20];
    while rustix::io::ioctl_fionread(&reader).unwrap() > 0 {
        let _ = std::io::Read::read(&mut &reader, &mut chunk).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
