//! Seccomp profiles compiled to BPF.
//!
//! ```no_run
//! # use wherry_seccomp as seccomp;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let json = "";
//! use seccomp::Filter;
//! let profile: runtime_spec::Seccomp = serde_json::from_str(json)?; // linux.seccomp of config.json
//! let filter = Filter::compile(&profile)?; // in the parent: well under 0.1 ms
//! // in the child, as late as possible:
//! if let Some(listener) = filter.load()? {
//!     // SCMP_ACT_NOTIFY: hand `listener` to the agent at profile.listener_path
//! }
//! # Ok(()) }
//! ```
//!
//! What `features` prints: [`ACTIONS`], [`OPERATORS`], [`Arch::ALL`] with [`Arch::spec_name`],
//! [`known_flags`] and [`supported_flags`]. Docker's default profile and profile format, for who
//! writes a config.json: [`profile`].

mod action;
mod arch;
mod code;
mod condition;
mod error;
mod filter;
mod generate;
pub mod profile;
mod rules;
mod table;

pub use action::ACTIONS;
pub use arch::Arch;
pub use condition::OPERATORS;
pub use error::{Error, Result};
pub use filter::{Filter, is_available, known_flags, supported_flags};
pub use rules::unknown_calls;
pub use table::{calls, number};
