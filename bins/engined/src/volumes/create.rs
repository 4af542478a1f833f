//! Making volumes.

use std::collections::BTreeMap;

use engine_api::volume::{Volume, VolumeCreate};
use errdefs::{Error, Result};

use super::{Kept, LOCAL, check_name, driver, mount, tell};
use crate::engine::Engine;
use crate::time::Time;

/// A volume that somebody asks for.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Empty is a name that nobody has.
    pub name: String,
    /// Empty is the engine, or whoever keeps the volume already.
    pub driver: String,
    pub options: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub is_anonymous: bool,
}

const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// Makes a volume if it is not there; gives its name.
///
/// # Errors
/// The name or an option is malformed, an existing volume differs, or the plugin refuses.
pub async fn ensure(engine: &Engine, mut wish: Wish) -> Result<String> {
    if wish.name.is_empty() {
        wish.name = crate::identity::new_id();
        wish.is_anonymous = true;
    }
    let name = wish.name.clone();
    let told = |cause: Error| match cause.to_string() {
        text if text.starts_with("create ") => cause,
        text => Error::new(cause.kind(), format!("create {name}: {text}")),
    };
    if let Some(there) = engine.volumes.get(&name) {
        return fits(&name, &there, &wish).map(|()| name.clone()).map_err(told);
    }
    if wish.is_anonymous {
        wish.labels.insert(ANONYMOUS.to_owned(), String::new());
    }
    let is_local = matches!(wish.driver.as_str(), "" | LOCAL);
    let mut kept = Kept {
        created: Time::now(),
        driver: if is_local { String::new() } else { wish.driver.clone() },
        is_anonymous: wish.labels.contains_key(ANONYMOUS),
        labels: wish.labels,
        options: wish.options,
        mountpoint: String::new(),
    };
    if is_local {
        check_name(&name)?;
        mount::Options::parse(&kept.options).map_err(told)?;
    } else {
        kept.mountpoint = driver::create(&wish.driver, &name, &kept.options).await.map_err(told)?;
    }
    let driver = kept.driver().to_owned();
    let owner = engine.remap.as_ref().map(crate::remap::Remap::root);
    if engine.volumes.add(&name, kept, owner)? {
        tell(engine, &name, "create", &driver, &[]);
    }
    Ok(name)
}

fn fits(name: &str, there: &Kept, wish: &Wish) -> Result<()> {
    if !wish.driver.is_empty() && wish.driver != there.driver() {
        return Err(Error::already_exists(format!(
            "a volume named {name} already exists with the {} driver. Choose a different volume name",
            there.driver()
        )));
    }
    if !wish.options.is_empty() && wish.options != there.options {
        return Err(Error::already_exists(format!(
            "a volume named {name} already exists with other options. Choose a different volume name"
        )));
    }
    Ok(())
}

/// Creates a volume on somebody's behalf.
///
/// # Errors
/// As [`ensure`].
pub async fn create(engine: &Engine, wish: &VolumeCreate) -> Result<Volume> {
    let name = ensure(
        engine,
        Wish {
            name: wish.name.clone(),
            driver: wish.driver.clone(),
            options: wish.driver_opts.clone(),
            labels: wish.labels.clone(),
            is_anonymous: false,
        },
    )
    .await?;
    super::inspect(engine, &name).await
}
