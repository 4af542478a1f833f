//! The option words of a mount (config-linux.md#mount-options) as the kernel's bits.

use syscalls::mount_attr::Change;

const RDONLY: u64 = 0x1;
const NOSUID: u64 = 0x2;
const NODEV: u64 = 0x4;
const NOEXEC: u64 = 0x8;
const ATIME: u64 = 0x70;
const RELATIME: u64 = 0x0;
const NOATIME: u64 = 0x10;
const STRICTATIME: u64 = 0x20;
const NODIRATIME: u64 = 0x80;
const NOSYMFOLLOW: u64 = 0x20_0000;

/// How mount events pass between this mount and its copies; the values are `MS_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Propagation {
    pub kind: u64,
    pub recursive: bool,
}

/// One range of ids: first on the filesystem, first as seen, how many.
pub type Range = [u32; 3];

/// User and group ids of an idmapped mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges {
    pub uids: Vec<Range>,
    pub gids: Vec<Range>,
}

impl Ranges {
    /// Reads crun's form, `uids=0-1-10#10-11-10;gids=0-100-10`. A range relative to the container's
    /// own mapping (`@`) is not understood.
    fn parse(text: &str) -> Option<Ranges> {
        let mut ranges = Ranges::default();
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (name, list) = part.split_once('=')?;
            let ids = match name {
                "uids" => &mut ranges.uids,
                "gids" => &mut ranges.gids,
                _ => return None,
            };
            for range in list.split('#') {
                let mut numbers = range.split('-').map(str::parse);
                let range = [numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?];
                ids.push(numbers.next().is_none().then_some(range)?);
            }
        }
        (!ranges.uids.is_empty() && !ranges.gids.is_empty()).then_some(ranges)
    }
}

/// The options of one mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// A copy of another tree, rather than a new filesystem.
    pub bind: bool,
    /// The copy takes the mounts below along.
    pub bind_recursive: bool,
    /// Attributes of the mount itself.
    pub change: Change,
    /// Attributes of the mount and all below it.
    pub recursive_change: Change,
    /// In the order given.
    pub propagation: Vec<Propagation>,
    /// Superblock options: flags and `key=value`.
    pub data: Vec<(String, Option<String>)>,
    /// Filled with what the directory held before.
    pub copy_up: bool,
    /// Maps ids by the mount's or the container's user namespace; `Some(true)` is recursive.
    pub idmap: Option<bool>,
    /// Ids of its own for the mapping, from `idmap=uids=...;gids=...`.
    pub ranges: Option<Ranges>,
    /// The source's last component is not followed, a link is bound as a link.
    pub source_nofollow: bool,
    /// The destination's last component is not followed.
    pub destination_nofollow: bool,
    /// A source that is a link is made anew as a link.
    pub copy_symlink: bool,
}

/// A word that says two things at once or nothing known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    pub option: String,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot use mount option {:?}", self.option)
    }
}

impl std::error::Error for ParseError {}

/// Attribute words: name, bits set, bits cleared. A `r` in front makes them recursive.
const ATTRIBUTES: &[(&str, u64, u64)] = &[
    ("ro", RDONLY, 0),
    ("rw", 0, RDONLY),
    ("nosuid", NOSUID, 0),
    ("suid", 0, NOSUID),
    ("nodev", NODEV, 0),
    ("dev", 0, NODEV),
    ("noexec", NOEXEC, 0),
    ("exec", 0, NOEXEC),
    ("noatime", NOATIME, ATIME),
    ("atime", RELATIME, ATIME),
    ("relatime", RELATIME, ATIME),
    ("norelatime", RELATIME, ATIME),
    ("strictatime", STRICTATIME, ATIME),
    ("nostrictatime", RELATIME, ATIME),
    ("nodiratime", NODIRATIME, 0),
    ("diratime", 0, NODIRATIME),
    ("nosymfollow", NOSYMFOLLOW, 0),
    ("symfollow", 0, NOSYMFOLLOW),
];

const PROPAGATIONS: &[(&str, u64)] =
    &[("private", 1 << 18), ("shared", 1 << 20), ("slave", 1 << 19), ("unbindable", 1 << 17)];

/// Superblock flags: word, the flag it stands for, and whether it is passed on to the kernel.
const SUPERBLOCK: &[(&str, bool)] = &[
    ("sync", true),
    ("async", false),
    ("dirsync", true),
    ("mand", true),
    ("nomand", false),
    ("lazytime", true),
    ("nolazytime", false),
    ("iversion", false),
    ("noiversion", false),
    ("silent", false),
    ("loud", false),
    ("acl", false),
    ("noacl", false),
];

impl Options {
    /// Reads the words in order; a later one wins. Words that are none of ours are the
    /// filesystem's own, as mount(8) has it.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Options, ParseError> {
        let mut options = Options::default();
        for word in words {
            options.add(word.as_ref())?;
        }
        Ok(options)
    }

    fn add(&mut self, word: &str) -> Result<(), ParseError> {
        match word {
            "" => return Err(ParseError { option: word.to_owned() }),
            "defaults" | "remount" => {}
            "bind" => self.bind = true,
            "rbind" => (self.bind, self.bind_recursive) = (true, true),
            "tmpcopyup" => self.copy_up = true,
            "idmap" => self.idmap = Some(false),
            "ridmap" => self.idmap = Some(true),
            "src-nofollow" => self.source_nofollow = true,
            "dest-nofollow" => self.destination_nofollow = true,
            "copy-symlink" => (self.copy_symlink, self.source_nofollow) = (true, true),
            _ => match word.split_once('=') {
                Some(("idmap", text)) => self.add_ranges(text, false, word)?,
                Some(("ridmap", text)) => self.add_ranges(text, true, word)?,
                _ => self.add_from_tables(word),
            },
        }
        Ok(())
    }

    fn add_ranges(&mut self, text: &str, recursive: bool, word: &str) -> Result<(), ParseError> {
        let ranges = Ranges::parse(text).ok_or_else(|| ParseError { option: word.to_owned() })?;
        (self.idmap, self.ranges) = (Some(recursive), Some(ranges));
        Ok(())
    }

    fn add_from_tables(&mut self, word: &str) {
        let find = |name: &str| ATTRIBUTES.iter().find(|entry| entry.0 == name);
        if let Some((_, set, clear)) = find(word) {
            alter(&mut self.change, *set, *clear);
            if word == "ro" || word == "rw" {
                self.superblock_readonly(word == "ro");
            }
        } else if let Some((_, set, clear)) = word.strip_prefix('r').and_then(find) {
            alter(&mut self.recursive_change, *set, *clear);
        } else if let Some(propagation) = propagation(word) {
            self.propagation.push(propagation);
        } else if let Some((_, passed)) = SUPERBLOCK.iter().find(|entry| entry.0 == word) {
            let flag = word.strip_prefix("no").unwrap_or(if word == "async" { "sync" } else { word });
            self.data.retain(|(key, _)| key != flag);
            if *passed {
                self.data.push((word.to_owned(), None));
            }
        } else if let Some((key, value)) = word.split_once('=') {
            self.data.push((key.to_owned(), Some(value.to_owned())));
        } else {
            self.data.push((word.to_owned(), None));
        }
    }

    /// `ro` of a new filesystem is both the mount's and the superblock's.
    fn superblock_readonly(&mut self, readonly: bool) {
        self.data.retain(|(key, _)| key != "ro");
        if readonly {
            self.data.push(("ro".to_owned(), None));
        }
    }

    /// Whether the mount ends up read-only.
    pub fn is_readonly(&self) -> bool {
        self.change.set & RDONLY != 0
    }
}

fn alter(change: &mut Change, set: u64, clear: u64) {
    change.set = change.set & !clear | set;
    change.clear = (change.clear | clear) & !set | (clear & ATIME);
}

fn propagation(word: &str) -> Option<Propagation> {
    let find = |name: &str| PROPAGATIONS.iter().find(|entry| entry.0 == name).map(|entry| entry.1);
    match (find(word), word.strip_prefix('r').and_then(find)) {
        (Some(kind), _) => Some(Propagation { kind, recursive: false }),
        (None, Some(kind)) => Some(Propagation { kind, recursive: true }),
        (None, None) => None,
    }
}

/// Whether a word is a flag of the superblock that mount(2) has always taken, and for a bind passed
/// over.
pub fn is_superblock_flag(word: &str) -> bool {
    SUPERBLOCK.iter().any(|(flag, _)| *flag == word)
}

/// Every word understood here, sorted, for `features`.
pub fn known_options() -> Vec<String> {
    let mut words: Vec<String> = ["defaults", "remount", "bind", "rbind", "tmpcopyup", "idmap", "ridmap"]
        .iter()
        .chain(&["src-nofollow", "dest-nofollow", "copy-symlink"])
        .map(|word| (*word).to_owned())
        .collect();
    for (word, _, _) in ATTRIBUTES {
        words.extend([(*word).to_owned(), format!("r{word}")]);
    }
    for (word, _) in PROPAGATIONS {
        words.extend([(*word).to_owned(), format!("r{word}")]);
    }
    words.extend(SUPERBLOCK.iter().map(|(word, _)| (*word).to_owned()));
    words.sort();
    words.dedup();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_word_wins() {
        let options = Options::parse(&["ro", "nosuid", "rw"]).unwrap();
        assert_eq!(options.change.set, NOSUID);
        assert_eq!(options.change.clear, RDONLY);
        assert!(options.data.is_empty());
    }

    #[test]
    fn recursive_words_are_kept_apart() {
        let options = Options::parse(&["rbind", "rro", "rprivate", "ro"]).unwrap();
        assert!(options.bind_recursive);
        assert_eq!(options.recursive_change.set, RDONLY);
        assert_eq!(options.change.set, RDONLY);
        assert_eq!(options.propagation, [Propagation { kind: 1 << 18, recursive: true }]);
    }

    #[test]
    fn atime_words_replace_each_other() {
        let options = Options::parse(&["noatime", "strictatime"]).unwrap();
        assert_eq!(options.change.set & ATIME, STRICTATIME);
        assert_eq!(options.change.clear & ATIME, ATIME);
    }

    #[test]
    fn ranges_of_an_idmap_are_read() {
        let options = Options::parse(&["bind", "idmap=uids=0-1-10#10-11-10;gids=0-100-10"]).unwrap();
        let ranges = options.ranges.unwrap();
        assert_eq!((options.idmap, ranges.uids), (Some(false), vec![[0, 1, 10], [10, 11, 10]]));
        assert_eq!(ranges.gids, [[0, 100, 10]]);
        for wrong in
            ["idmap=", "ridmap=uids=0-1-1", "idmap=uids=@0-1-1;gids=0-1-1", "idmap=uids=0-1;gids=0-1-1"]
        {
            assert_eq!(Options::parse(&[wrong]).unwrap_err().option, wrong);
        }
    }

    #[test]
    fn unknown_words_belong_to_the_filesystem() {
        let options = Options::parse(&["mode=755", "newinstance", "size=64k"]).unwrap();
        assert_eq!(options.data[0], ("mode".to_owned(), Some("755".to_owned())));
        assert_eq!(options.data[1], ("newinstance".to_owned(), None));
    }

    #[test]
    fn every_known_word_is_read() {
        for word in known_options() {
            assert!(
                Options::parse(&[&word]).unwrap().data.iter().all(|(key, _)| {
                    ["ro", "sync", "dirsync", "mand", "lazytime"].contains(&key.as_str())
                }),
                "{word}"
            );
        }
    }
}
