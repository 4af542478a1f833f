//! Reads an archive entry by entry, without copying the bodies.

use std::io::{self, BufRead, Read};

use crate::entry::{Entry, Kind, Segment, Time};
use crate::header::{BLOCK, Header, sparse_pairs};
use crate::pax::Records;
use crate::sparse::{self, MapText, SEGMENT_LIMIT};
use crate::{Error, Result};

/// Most bytes of an extended header or a long name: they are held in memory.
const SPECIAL_LIMIT: u64 = 1 << 20;

/// An archive under reading. As [`Read`] and [`BufRead`] it is the body of the current entry.
pub struct Reader<R> {
    inner: R,
    /// Bytes of the current body not read yet.
    remaining: u64,
    /// Bytes that fill the body's last block.
    padding: u64,
    globals: Records,
    ended: bool,
}

/// What precedes an entry's own header.
#[derive(Default)]
struct Pending {
    records: Option<Records>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the plain archive that `inner` gives.
    pub fn new(inner: R) -> Reader<R> {
        Reader { inner, remaining: 0, padding: 0, globals: Records::default(), ended: false }
    }

    /// Skips what is left of the current body and returns the next entry, `None` at the end.
    ///
    /// # Errors
    /// The stream fails, ends too early or holds no archive.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        let mut pending = Pending::default();
        loop {
            self.skip(self.remaining + self.padding)?;
            (self.remaining, self.padding) = (0, 0);
            let Some(block) = self.header_block()? else {
                return Ok(None);
            };
            let header = Header::parse(&block)?;
            let size = header.size()?;
            match header.type_flag() {
                b'x' => {
                    let mut records = self.globals.clone();
                    records.read(&self.special(size)?)?;
                    pending.records = Some(records);
                }
                b'g' => {
                    let bytes = self.special(size)?;
                    self.globals.read(&bytes)?;
                }
                b'L' => pending.long_name = Some(until_nul(self.special(size)?)),
                b'K' => pending.long_link = Some(until_nul(self.special(size)?)),
                _ => return self.entry(&header, size, pending).map(Some),
            }
        }
    }

    /// The stream, at the end of the archive's last block that was read.
    pub fn into_inner(self) -> R {
        self.inner
    }

    fn entry(&mut self, header: &Header<'_>, size: u64, pending: Pending) -> Result<Entry> {
        let records = pending.records.unwrap_or_else(|| self.globals.clone());
        let size = records.size.unwrap_or(size);
        let path = records.path.clone().or(pending.long_name).unwrap_or_else(|| header.path());
        let kind = entry_kind(header.type_flag(), &path)?;
        let mut entry = Entry {
            kind,
            mode: header.mode()?,
            uid: identity(records.uid.map_or_else(|| header.uid(), Ok)?)?,
            gid: identity(records.gid.map_or_else(|| header.gid(), Ok)?)?,
            size: 0,
            modified: match records.modified {
                Some(time) => time,
                None => Time { seconds: header.modified()?, nanoseconds: 0 },
            },
            link: records.link.clone().or(pending.long_link).unwrap_or_else(|| header.link()),
            device: (0, 0),
            xattrs: records.xattrs.clone(),
            segments: None,
            path,
        };
        if matches!(kind, Kind::CharDevice | Kind::BlockDevice) {
            entry.device = device_numbers(header.device()?)?;
        }
        if kind == Kind::File {
            // Only files have bodies, whatever the header's size says.
            self.remaining = size;
            self.padding = padding_of(size);
            entry.size = size;
            self.find_segments(header, &records, &mut entry)?;
        }
        Ok(entry)
    }

    /// Turns the sparse map, where there is one, into the entry's segments and real size.
    fn find_segments(&mut self, header: &Header<'_>, records: &Records, entry: &mut Entry) -> Result<()> {
        let (segments, real_size) = if header.type_flag() == b'S' {
            self.old_gnu_map(header)?
        } else if records.is_sparse() {
            if let Some(name) = &records.sparse_name {
                entry.path.clone_from(name);
            }
            let real_size = records.sparse_size.ok_or_else(|| Error::invalid("sparse file has no size"))?;
            let segments = match records.sparse_version {
                Some((1, 0)) => self.map_in_body()?,
                Some((0, 0 | 1)) | None => records.sparse_map.clone(),
                Some(_) => return Err(Error::invalid("sparse format is not known")),
            };
            (segments, real_size)
        } else {
            return Ok(());
        };
        sparse::check(&segments, real_size, self.remaining)?;
        entry.size = real_size;
        entry.segments = Some(segments);
        Ok(())
    }

    /// The map in the header, continued in blocks of 21 pairs.
    fn old_gnu_map(&mut self, header: &Header<'_>) -> Result<(Vec<Segment>, u64)> {
        let (mut pairs, mut more, real_size) = header.gnu_sparse()?;
        while more {
            let mut block = [0; BLOCK];
            self.inner.read_exact(&mut block).map_err(Error::Read)?;
            pairs.extend(sparse_pairs(&block[..504])?);
            more = block[504] != 0;
            if pairs.len() > SEGMENT_LIMIT {
                return Err(Error::invalid("sparse map is too long"));
            }
        }
        Ok((pairs.into_iter().map(|(offset, length)| Segment { offset, length }).collect(), real_size))
    }

    /// PAX 1.0: the map is the first whole blocks of the body.
    fn map_in_body(&mut self) -> Result<Vec<Segment>> {
        let mut text = MapText::default();
        loop {
            let mut block = [0; BLOCK];
            if self.remaining < BLOCK as u64 {
                return Err(Error::invalid("sparse map is malformed"));
            }
            self.inner.read_exact(&mut block).map_err(Error::Read)?;
            self.remaining -= BLOCK as u64;
            if text.take(&block)? {
                return Ok(text.segments());
            }
        }
    }

    /// The next block that is a header; `None` at the end mark or the end of the stream.
    fn header_block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        if self.ended {
            return Ok(None);
        }
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => {
                    self.ended = true;
                    return Ok(None);
                }
                Ok(0) => return Err(Error::Read(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Read(error)),
            }
        }
        if block.iter().all(|b| *b == 0) {
            self.ended = true;
            return Ok(None);
        }
        Ok(Some(block))
    }

    /// A whole body that belongs to the next entry.
    fn special(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > SPECIAL_LIMIT {
            return Err(Error::invalid("extended header is too long"));
        }
        let mut bytes = vec![0; size as usize];
        self.inner.read_exact(&mut bytes).map_err(Error::Read)?;
        self.skip(padding_of(size))?;
        Ok(bytes)
    }

    fn skip(&mut self, mut count: u64) -> Result<()> {
        while count > 0 {
            let available = self.inner.fill_buf().map_err(Error::Read)?.len();
            if available == 0 {
                return Err(Error::Read(io::ErrorKind::UnexpectedEof.into()));
            }
            let step = available.min(usize::try_from(count).unwrap_or(usize::MAX));
            self.inner.consume(step);
            count -= step as u64;
        }
        Ok(())
    }
}

impl<R: BufRead> BufRead for Reader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.remaining == 0 {
            return Ok(&[]);
        }
        let bytes = self.inner.fill_buf()?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let limit = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(bytes.len());
        Ok(&bytes[..limit])
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
        self.remaining -= count as u64;
    }
}

impl<R: BufRead> Read for Reader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let count = bytes.len().min(out.len());
        out[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}

fn entry_kind(type_flag: u8, path: &[u8]) -> Result<Kind> {
    Ok(match type_flag {
        // Before POSIX a directory was a file whose name ends in a slash.
        b'0' | 0 if path.ends_with(b"/") => Kind::Directory,
        b'0' | 0 | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => return Err(Error::invalid(format!("entry type {:?} is not known", other as char))),
    })
}

/// User and group numbers; -1 means "leave as is" to chown(2), so it is refused with the rest.
fn identity(number: i64) -> Result<u32> {
    u32::try_from(number)
        .ok()
        .filter(|id| *id != u32::MAX)
        .ok_or_else(|| Error::invalid(format!("owner {number} is out of range")))
}

/// Linux has 12 bits of major and 20 of minor number.
fn device_numbers((major, minor): (i64, i64)) -> Result<(u32, u32)> {
    if !(0..1 << 12).contains(&major) || !(0..1 << 20).contains(&minor) {
        return Err(Error::invalid(format!("device {major}:{minor} is out of range")));
    }
    Ok((major as u32, minor as u32))
}

fn padding_of(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}
