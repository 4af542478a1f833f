//! Configuration, contexts and credentials on disk.

use std::os::unix::fs::PermissionsExt;

use engine_api::auth::AuthConfig;
use wherry_engine_client::{
    ConfigFile, Context, ContextError, Contexts, Credentials, HUB_SERVER, TlsMaterial, registry_server,
};

#[test]
fn credentials_go_into_the_file_and_unknown_settings_stay() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config.json"), r#"{"psFormat":"x","unknown":{"a":[1]}}"#).unwrap();
    let mut config = ConfigFile::load(home.path()).unwrap();
    let auth = AuthConfig {
        username: "me".into(),
        password: "p:w".into(),
        server_address: "localhost:5000".into(),
        ..AuthConfig::default()
    };
    Credentials::new(&mut config).store(&auth).unwrap();
    let mut again = ConfigFile::load(home.path()).unwrap();
    assert_eq!(again.value("unknown").unwrap()["a"][0], 1);
    assert_eq!(again.path().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let found = Credentials::new(&mut again).get("localhost:5000").unwrap();
    assert_eq!(found, auth);
    assert!(Credentials::new(&mut again).erase("localhost:5000").unwrap());
    assert!(!Credentials::new(&mut again).erase("localhost:5000").unwrap());
    assert_eq!(registry_server("docker.io"), HUB_SERVER);
}

#[test]
fn contexts_are_kept_by_the_hash_of_their_name() {
    let home = tempfile::tempdir().unwrap();
    let store = Contexts::new(home.path());
    assert!(store.list().unwrap().is_empty());
    store.create(&Context::new("far", "a far engine", "tcp://far:1"), &TlsMaterial::default()).unwrap();
    assert!(
        store
            .meta_path("default")
            .ends_with("37a8eec1ce19687d132fe29051dca629d164e2c4958ba141d5f4133a33f0688f")
    );
    let far = store.load("far").unwrap();
    assert_eq!((far.docker_host(), far.description()), ("tcp://far:1", "a far engine"));
    assert!(matches!(store.create(&far, &TlsMaterial::default()), Err(ContextError::Exists(_))));
    assert!(matches!(
        store.create(&Context::new("../x", "", ""), &TlsMaterial::default()),
        Err(ContextError::Name(_))
    ));
    store.remove("far").unwrap();
    assert!(matches!(store.load("far"), Err(ContextError::NotFound(..))));
}
