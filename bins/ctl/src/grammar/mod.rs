//! Docker's command-line grammar, data-driven: commands and flags are tables, from which
//! parsing, usage errors and help all follow.

mod command;
mod failure;
mod flag;
mod help;
mod man;
mod parse;
mod resolve;

pub use command::{Arity, Command, Group};
pub use failure::{Exit, Failure};
pub use flag::{Flag, Kind};
pub use help::{command_help, group_help, root_help, usage_line};
pub use man::{command_page, other_pages, root_page};
pub use parse::{Matches, parse};
pub use resolve::{Resolved, closest, resolve};
