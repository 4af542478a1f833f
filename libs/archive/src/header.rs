//! The 512-byte header block (pax(1) "ustar Interchange Format", GNU tar manual "Basic Tar Format").

use crate::{Error, Result};

/// Every header and the padding of every body is a multiple of this.
pub(crate) const BLOCK: usize = 512;

/// The offset and length of each field.
mod field {
    pub const NAME: (usize, usize) = (0, 100);
    pub const MODE: (usize, usize) = (100, 8);
    pub const UID: (usize, usize) = (108, 8);
    pub const GID: (usize, usize) = (116, 8);
    pub const SIZE: (usize, usize) = (124, 12);
    pub const MTIME: (usize, usize) = (136, 12);
    pub const CHECKSUM: (usize, usize) = (148, 8);
    pub const LINK: (usize, usize) = (157, 100);
    pub const MAJOR: (usize, usize) = (329, 8);
    pub const MINOR: (usize, usize) = (337, 8);
    pub const PREFIX: (usize, usize) = (345, 155);
}
const TYPE: usize = 156;
const MAGIC: usize = 257;

/// A header block whose checksum is right.
pub(crate) struct Header<'a>(&'a [u8; BLOCK]);

impl<'a> Header<'a> {
    pub(crate) fn parse(block: &'a [u8; BLOCK]) -> Result<Header<'a>> {
        let header = Header(block);
        let stored = number(header.field(field::CHECKSUM))?;
        let (unsigned, signed) = checksums(block);
        if stored != unsigned && stored != signed {
            return Err(Error::invalid("header checksum is wrong"));
        }
        Ok(header)
    }

    fn field(&self, (offset, length): (usize, usize)) -> &'a [u8] {
        &self.0[offset..offset + length]
    }

    pub(crate) fn type_flag(&self) -> u8 {
        self.0[TYPE]
    }

    pub(crate) fn path(&self) -> Vec<u8> {
        let name = text(self.field(field::NAME));
        let prefix =
            if &self.0[MAGIC..MAGIC + 6] == b"ustar\0" { text(self.field(field::PREFIX)) } else { b"" };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    pub(crate) fn link(&self) -> Vec<u8> {
        text(self.field(field::LINK)).to_vec()
    }

    pub(crate) fn mode(&self) -> Result<u32> {
        // Some writers put the file type's bits in too.
        Ok((number(self.field(field::MODE))? & 0o7777) as u32)
    }

    pub(crate) fn uid(&self) -> Result<i64> {
        number(self.field(field::UID))
    }

    pub(crate) fn gid(&self) -> Result<i64> {
        number(self.field(field::GID))
    }

    pub(crate) fn size(&self) -> Result<u64> {
        u64::try_from(number(self.field(field::SIZE))?).map_err(|_| Error::invalid("negative size"))
    }

    pub(crate) fn modified(&self) -> Result<i64> {
        number(self.field(field::MTIME))
    }

    pub(crate) fn device(&self) -> Result<(i64, i64)> {
        Ok((number(self.field(field::MAJOR))?, number(self.field(field::MINOR))?))
    }

    /// The sparse map that old GNU headers hold: four pairs, a flag for more, the real size.
    pub(crate) fn gnu_sparse(&self) -> Result<(Pairs, bool, u64)> {
        let pairs = sparse_pairs(&self.0[386..386 + 96])?;
        let size = number(&self.0[483..495])?;
        let size = u64::try_from(size).map_err(|_| Error::invalid("negative size"))?;
        Ok((pairs, self.0[482] != 0, size))
    }
}

/// Where the pieces of a sparse file are: offset and length of each.
pub(crate) type Pairs = Vec<(u64, u64)>;

/// Reads pairs of 12-byte numbers up to the first empty one.
pub(crate) fn sparse_pairs(bytes: &[u8]) -> Result<Pairs> {
    let mut pairs = Vec::new();
    for pair in bytes.chunks_exact(24) {
        if pair[0] == 0 {
            break;
        }
        let offset = u64::try_from(number(&pair[..12])?);
        let length = u64::try_from(number(&pair[12..])?);
        let (Ok(offset), Ok(length)) = (offset, length) else {
            return Err(Error::invalid("negative sparse map"));
        };
        pairs.push((offset, length));
    }
    Ok(pairs)
}

/// Bytes up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    &field[..end]
}

/// Octal text, or GNU's big-endian two's complement when the top bit is set.
pub(crate) fn number(field: &[u8]) -> Result<i64> {
    let bad = || Error::invalid("header number is malformed");
    if field[0] & 0x80 != 0 {
        let negative = field[0] & 0x40 != 0;
        let mut value: i128 = if negative { -1 } else { 0 };
        for (index, byte) in field.iter().enumerate() {
            let byte = if index == 0 && !negative { byte & 0x7f } else { *byte };
            value = (value << 8) | i128::from(byte);
            if i64::try_from(value).is_err() {
                return Err(bad());
            }
        }
        return i64::try_from(value).map_err(|_| bad());
    }
    let digits = field.iter().copied().skip_while(|b| *b == b' ').take_while(|b| *b != 0 && *b != b' ');
    digits.into_iter().try_fold(0i64, |value, digit| match digit {
        b'0'..=b'7' => {
            value.checked_mul(8).and_then(|v| v.checked_add(i64::from(digit - b'0'))).ok_or_else(bad)
        }
        _ => Err(bad()),
    })
}

/// The sum of all bytes with the checksum field as spaces: unsigned as the standard has it, and
/// signed as some old writers had it.
fn checksums(block: &[u8; BLOCK]) -> (i64, i64) {
    let (start, length) = field::CHECKSUM;
    let mut sums = (0, 0);
    for (index, byte) in block.iter().enumerate() {
        let byte = if (start..start + length).contains(&index) { b' ' } else { *byte };
        sums.0 += i64::from(byte);
        sums.1 += i64::from(byte as i8);
    }
    sums
}

/// What a header block to be written holds.
pub(crate) struct Fields<'a> {
    pub name: &'a [u8],
    pub prefix: &'a [u8],
    pub type_flag: u8,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub size: u64,
    pub modified: u64,
    pub link: &'a [u8],
    pub device: (u32, u32),
}

/// Greatest number that `length` bytes of octal text hold, the closing NUL taken off.
pub(crate) fn octal_limit(length: usize) -> u64 {
    (1 << (3 * (length - 1))) - 1
}

impl Fields<'_> {
    /// The block; values too great for their field are cut (a PAX record carries the true value).
    pub(crate) fn block(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        put_text(&mut block, field::NAME, self.name);
        put_octal(&mut block, field::MODE, u64::from(self.mode));
        put_octal(&mut block, field::UID, self.uid);
        put_octal(&mut block, field::GID, self.gid);
        put_octal(&mut block, field::SIZE, self.size);
        put_octal(&mut block, field::MTIME, self.modified);
        block[TYPE] = self.type_flag;
        put_text(&mut block, field::LINK, self.link);
        block[MAGIC..MAGIC + 8].copy_from_slice(b"ustar\x0000");
        put_octal(&mut block, field::MAJOR, u64::from(self.device.0));
        put_octal(&mut block, field::MINOR, u64::from(self.device.1));
        put_text(&mut block, field::PREFIX, self.prefix);
        let (sum, _) = checksums(&block);
        let text = format!("{sum:06o}\0 ");
        block[148..156].copy_from_slice(text.as_bytes());
        block
    }
}

fn put_text(block: &mut [u8; BLOCK], (offset, length): (usize, usize), text: &[u8]) {
    let text = &text[..text.len().min(length)];
    block[offset..offset + text.len()].copy_from_slice(text);
}

fn put_octal(block: &mut [u8; BLOCK], (offset, length): (usize, usize), value: u64) {
    let value = if value > octal_limit(length) { 0 } else { value };
    let text = format!("{value:0width$o}\0", width = length - 1);
    block[offset..offset + length].copy_from_slice(text.as_bytes());
}
