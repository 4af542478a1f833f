//! What is kept, why, and what is wrong with it: `supervisord fsck`. Nothing is changed.

use crate::config::Config;
use crate::server::{records, records_path};
use errdefs::{Error, Result};
use events::Exchange;
use metadata::{Db, Object};
use std::fmt::Write;

/// Prints every object; an error when one of them is at fault. `hash` reads every blob.
pub fn check(config: &Config, hash: bool, print: impl FnOnce(&str) -> Result<()>) -> Result<()> {
    let path = records_path(config);
    if !path.exists() {
        return Err(Error::not_found(format!("there are no records at {}", path.display()))
            .with_hint("give the --root or --config that the daemon has"));
    }
    let objects = Db::open_as_it_is(records(config, &Exchange::new())?)?.account(hash)?;
    print(&told(&objects))?;
    match objects.iter().filter(|object| object.fault.is_some()).count() {
        0 => Ok(()),
        faulty => {
            let text = format!("{faulty} of {} objects are at fault", objects.len());
            Err(Error::new(errdefs::Kind::DataLoss, text)
                .with_hint("images whose content or snapshots are lost must be removed and pulled again"))
        }
    }
}

fn told(objects: &[Object]) -> String {
    let mut text = String::new();
    for object in objects {
        let namespace = if object.namespace.is_empty() { "-" } else { &object.namespace };
        let reason = match &object.reason {
            Some(reason) => format!("kept by {reason}"),
            None if object.namespace.is_empty() => {
                "no record names it: goes when the daemon starts".to_owned()
            }
            None => "nothing keeps it: goes with the next collection".to_owned(),
        };
        // Writing to a string does not fail.
        let _ = write!(text, "{namespace}  {} {}  {reason}", object.kind, object.name);
        if let Some(fault) = &object.fault {
            let _ = write!(text, "  FAULT: {fault}");
        }
        text.push('\n');
    }
    let idle = objects.iter().filter(|object| object.reason.is_none()).count();
    let faulty = objects.iter().filter(|object| object.fault.is_some()).count();
    let _ = writeln!(text, "{} objects, {idle} that nothing keeps, {faulty} at fault", objects.len());
    text
}
