//! Flags as data.

use engine_client::ApiVersion;

/// What value a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `--x`, `--x=false`.
    Bool,
    /// Given once; the last one counts.
    Text,
    /// Given any number of times.
    List,
    /// Given any number of times, several at once between commas.
    Strings,
    Int,
    Uint,
    /// A decimal number of CPUs.
    Cpus,
    /// `512m`.
    Bytes,
    /// `512m`, or -1 for no limit.
    BytesOrNone,
    /// `1m30s`.
    Duration,
}

/// One flag of a command.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Without the dashes.
    pub name: &'static str,
    pub short: Option<char>,
    pub kind: Kind,
    /// Word for the value in help.
    pub value: &'static str,
    pub help: &'static str,
    /// As help shows it; empty shows nothing.
    pub default: &'static str,
    pub hidden: bool,
    /// Refuses values that the kind alone lets pass.
    pub check: Option<Check>,
    /// Oldest version of the API that knows what it asks for.
    pub since: Option<ApiVersion>,
    /// Means something to engines on Windows alone.
    pub only_on_windows: bool,
}

/// What is wrong with a value.
pub type Check = fn(&str) -> Result<(), String>;

impl Flag {
    const fn new(name: &'static str, kind: Kind, value: &'static str, help: &'static str) -> Self {
        Self {
            name,
            short: None,
            kind,
            value,
            help,
            default: "",
            hidden: false,
            check: None,
            since: None,
            only_on_windows: false,
        }
    }

    pub const fn bool(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Bool, "", help)
    }

    pub const fn text(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Text, "string", help)
    }

    pub const fn list(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::List, "list", help)
    }

    /// A list whose values may come several at once: `a,b`.
    pub const fn strings(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Strings, "strings", help)
    }

    pub const fn int(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Int, "int", help)
    }

    pub const fn uint(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Uint, "uint", help)
    }

    pub const fn cpus(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Cpus, "decimal", help)
    }

    pub const fn bytes(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Bytes, "bytes", help)
    }

    /// A size, or -1 for no limit.
    pub const fn bytes_or_none(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::BytesOrNone, "bytes", help)
    }

    pub const fn duration(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Duration, "duration", help)
    }

    pub const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    /// The value's word in help, instead of the kind's.
    pub const fn value(mut self, value: &'static str) -> Self {
        self.value = value;
        self
    }

    pub const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    /// Parsed, but not in help.
    pub const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// An engine whose API is older than version 1.`minor` is not asked.
    pub const fn since(mut self, minor: u16) -> Self {
        self.since = Some(ApiVersion { major: 1, minor });
        self
    }

    /// An engine on another system is not asked.
    pub const fn only_on_windows(mut self) -> Self {
        self.only_on_windows = true;
        self
    }

    /// A value that `check` refuses is a usage error.
    pub const fn check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    /// How errors name it: `-m, --memory`.
    pub fn shown(&self) -> String {
        match self.short {
            Some(short) => format!("-{short}, --{}", self.name),
            None => format!("--{}", self.name),
        }
    }
}
