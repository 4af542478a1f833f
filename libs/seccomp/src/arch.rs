//! Architectures: their names, their audit numbers, and which of them run here.

/// An architecture whose calls a filter can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    X86_64,
    /// i386 calls.
    X86,
    /// x86-64 calls with bit 30 set; shares the audit number of [`Arch::X86_64`].
    X32,
    Aarch64,
    Arm,
    Riscv64,
    S390x,
    Ppc64le,
}

/// The bit that marks an x32 call.
pub(crate) const X32_BIT: u32 = 0x4000_0000;

impl Arch {
    /// Every architecture with a table here.
    pub const ALL: [Arch; 8] = [
        Arch::X86_64,
        Arch::X86,
        Arch::X32,
        Arch::Aarch64,
        Arch::Arm,
        Arch::Riscv64,
        Arch::S390x,
        Arch::Ppc64le,
    ];

    /// The architecture that this program was built for.
    pub fn native() -> Option<Arch> {
        Some(match std::env::consts::ARCH {
            "x86_64" => Arch::X86_64,
            "x86" => Arch::X86,
            "aarch64" => Arch::Aarch64,
            "arm" => Arch::Arm,
            "riscv64" => Arch::Riscv64,
            "s390x" => Arch::S390x,
            "powerpc64" if cfg!(target_endian = "little") => Arch::Ppc64le,
            _ => return None,
        })
    }

    /// From the specification's constant, "SCMP_ARCH_X86_64"; `None` for one without a table here.
    pub fn from_spec(name: &str) -> Option<Arch> {
        Arch::ALL.into_iter().find(|a| a.spec_name() == name)
    }

    /// True for the specification's constants of architectures that have no table here. Their
    /// programs do not run on any kernel that this program runs on, but for 31-bit s390 ones.
    pub(crate) fn is_foreign(name: &str) -> bool {
        matches!(
            name,
            "SCMP_ARCH_MIPS"
                | "SCMP_ARCH_MIPS64"
                | "SCMP_ARCH_MIPS64N32"
                | "SCMP_ARCH_MIPSEL"
                | "SCMP_ARCH_MIPSEL64"
                | "SCMP_ARCH_MIPSEL64N32"
                | "SCMP_ARCH_PPC"
                | "SCMP_ARCH_PPC64"
                | "SCMP_ARCH_S390"
                | "SCMP_ARCH_PARISC"
                | "SCMP_ARCH_PARISC64"
                | "SCMP_ARCH_LOONGARCH64"
                | "SCMP_ARCH_M68K"
                | "SCMP_ARCH_SH"
                | "SCMP_ARCH_SHEB"
        )
    }

    /// The specification's constant.
    pub fn spec_name(self) -> &'static str {
        match self {
            Arch::X86_64 => "SCMP_ARCH_X86_64",
            Arch::X86 => "SCMP_ARCH_X86",
            Arch::X32 => "SCMP_ARCH_X32",
            Arch::Aarch64 => "SCMP_ARCH_AARCH64",
            Arch::Arm => "SCMP_ARCH_ARM",
            Arch::Riscv64 => "SCMP_ARCH_RISCV64",
            Arch::S390x => "SCMP_ARCH_S390X",
            Arch::Ppc64le => "SCMP_ARCH_PPC64LE",
        }
    }

    /// AUDIT_ARCH_* of linux/audit.h: the ELF machine with bits for 64-bit and little endian.
    pub fn audit(self) -> u32 {
        const BITS_64: u32 = 0x8000_0000;
        const LITTLE: u32 = 0x4000_0000;
        match self {
            Arch::X86_64 | Arch::X32 => 62 | BITS_64 | LITTLE,
            Arch::X86 => 3 | LITTLE,
            Arch::Aarch64 => 183 | BITS_64 | LITTLE,
            Arch::Arm => 40 | LITTLE,
            Arch::Riscv64 => 243 | BITS_64 | LITTLE,
            Arch::S390x => 22 | BITS_64,
            Arch::Ppc64le => 21 | BITS_64 | LITTLE,
        }
    }

    /// True where argument registers hold 64 bits; elsewhere only the low half is compared.
    ///
    /// x32 counts as narrow, as in libseccomp.
    pub(crate) fn is_wide(self) -> bool {
        !matches!(self, Arch::X86 | Arch::Arm | Arch::X32)
    }

    /// True where the high half of a 64-bit argument is stored first.
    pub(crate) fn is_big_endian(self) -> bool {
        self == Arch::S390x
    }
}
