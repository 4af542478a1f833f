//! Command words: a list, or the single string that old clients send.

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize};

/// Words of `Cmd`, `Entrypoint` and `Shell`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Words(pub Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Many(Vec<String>),
            One(String),
        }
        Ok(match Form::deserialize(from)? {
            Form::Many(words) => Self(words),
            Form::One(word) => Self(vec![word]),
        })
    }
}

impl Deref for Words {
    type Target = Vec<String>;
    fn deref(&self) -> &Vec<String> {
        &self.0
    }
}

impl DerefMut for Words {
    fn deref_mut(&mut self) -> &mut Vec<String> {
        &mut self.0
    }
}

impl From<Vec<String>> for Words {
    fn from(words: Vec<String>) -> Self {
        Self(words)
    }
}
