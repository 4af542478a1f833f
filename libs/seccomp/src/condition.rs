//! Conditions on arguments: parsing, and the code that tests them.

use crate::arch::Arch;
use crate::code::{Code, Label};
use crate::error::{Error, Result};
use runtime_spec::SyscallArg;

/// Every operator word that profiles may use, sorted.
pub const OPERATORS: [&str; 7] = [
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];

/// Offset of `args[0]` in struct seccomp_data.
const ARGS: u32 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    Equal,
    Greater,
    GreaterOrEqual,
    /// `arg & mask == value`.
    Masked(u64),
}

/// One test of one argument; `negated` turns EQ, GT, GE into NE, LE, LT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Condition {
    pub index: u8,
    pub test: Test,
    pub value: u64,
    pub negated: bool,
}

impl Condition {
    pub(crate) fn parse(arg: &SyscallArg, call: &str) -> Result<Condition> {
        let index = u8::try_from(arg.index).ok().filter(|i| *i < 6);
        let index = index
            .ok_or_else(|| Error::Invalid { call: call.to_owned(), reason: "argument index above 5" })?;
        let (test, value, negated) = match arg.op.as_str() {
            "SCMP_CMP_EQ" => (Test::Equal, arg.value, false),
            "SCMP_CMP_NE" => (Test::Equal, arg.value, true),
            "SCMP_CMP_GT" => (Test::Greater, arg.value, false),
            "SCMP_CMP_LE" => (Test::Greater, arg.value, true),
            "SCMP_CMP_GE" => (Test::GreaterOrEqual, arg.value, false),
            "SCMP_CMP_LT" => (Test::GreaterOrEqual, arg.value, true),
            "SCMP_CMP_MASKED_EQ" => (Test::Masked(arg.value), arg.value_two, false),
            _ => return Err(Error::Unknown { what: "operator", word: arg.op.clone() }),
        };
        Ok(Condition { index, test, value, negated })
    }

    /// Emits the test: `yes` when it holds, `no` when not. Unsigned; 64 bits wide where the
    /// architecture's registers are, else the low half.
    pub(crate) fn emit(self, code: &mut Code, arch: Arch, yes: Label, no: Label) -> Label {
        let (yes, no) = if self.negated { (no, yes) } else { (yes, no) };
        let offset = ARGS + 8 * u32::from(self.index);
        let (low_at, high_at) =
            if arch.is_big_endian() { (offset + 4, offset) } else { (offset, offset + 4) };
        let (low, high) = (self.value as u32, (self.value >> 32) as u32);
        let wide = arch.is_wide();
        match self.test {
            Test::Equal => {
                let rest = code.load_and(low_at, |c| c.jump_eq(low, yes, no));
                if wide { code.load_and(high_at, |c| c.jump_eq(high, rest, no)) } else { rest }
            }
            Test::Greater => {
                let rest = code.load_and(low_at, |c| c.jump_gt(low, yes, no));
                if wide { high_half(code, high_at, high, yes, rest, no) } else { rest }
            }
            Test::GreaterOrEqual => {
                let rest = code.load_and(low_at, |c| c.jump_ge(low, yes, no));
                if wide { high_half(code, high_at, high, yes, rest, no) } else { rest }
            }
            Test::Masked(mask) => {
                let rest = masked(code, low_at, mask as u32, low, yes, no);
                if wide { masked(code, high_at, (mask >> 32) as u32, high, rest, no) } else { rest }
            }
        }
    }
}

/// The upper word decides unless it is equal.
fn high_half(code: &mut Code, at: u32, high: u32, above: Label, equal: Label, below: Label) -> Label {
    code.load_and(at, |c| {
        let not_above = c.jump_eq(high, equal, below);
        c.jump_gt(high, above, not_above)
    })
}

fn masked(code: &mut Code, at: u32, mask: u32, value: u32, yes: Label, no: Label) -> Label {
    match (mask, value) {
        // Nothing is looked at.
        (0, 0) => yes,
        (0, _) => no,
        (u32::MAX, _) => code.load_and(at, |c| c.jump_eq(value, yes, no)),
        _ => code.load_and(at, |c| c.and_then_eq(mask, value, yes, no)),
    }
}
