//! Messages inside an `Any`, named the way containerd's typeurl names them: by the bare message name.

use prost::{Message, Name};
use prost_types::Any;
use std::fmt;

/// Packs a message under its full name, without the `type.googleapis.com/` prefix.
pub fn pack<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::full_name(), value: message.encode_to_vec() }
}

/// Packs JSON bytes under one of the URLs of this crate.
pub fn pack_json(url: &str, json: Vec<u8>) -> Any {
    Any { type_url: url.to_owned(), value: json }
}

/// Whether `any` holds an `M`, whatever prefix its URL has.
pub fn is<M: Name>(any: &Any) -> bool {
    let name = any.type_url.rsplit('/').next().unwrap_or_default();
    name == M::full_name()
}

/// Unpacks an `M`; a URL that names another message is refused.
pub fn unpack<M: Message + Name + Default>(any: &Any) -> Result<M, UnpackError> {
    if !is::<M>(any) {
        return Err(UnpackError::Type { found: any.type_url.clone(), wanted: M::full_name() });
    }
    M::decode(any.value.as_slice()).map_err(|cause| UnpackError::Value { name: M::full_name(), cause })
}

/// Why an `Any` could not be unpacked.
#[derive(Debug)]
pub enum UnpackError {
    /// It holds another message.
    Type {
        /// The URL it carries.
        found: String,
        /// The name that was asked for.
        wanted: String,
    },
    /// Its bytes are no such message.
    Value {
        /// The name of the message.
        name: String,
        /// What the decoder said.
        cause: prost::DecodeError,
    },
}

impl fmt::Display for UnpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnpackError::Type { found, wanted } => write!(f, "cannot unpack {found:?} as {wanted}"),
            UnpackError::Value { name, cause } => write!(f, "cannot decode {name}: {cause}"),
        }
    }
}

impl std::error::Error for UnpackError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runc::v1::Options;

    #[test]
    fn names_are_bare_and_prefixes_are_accepted() {
        let options = Options { binary_name: "rt".into(), ..Default::default() };
        let mut any = pack(&options);
        assert_eq!(any.type_url, "containerd.runc.v1.Options");
        any.type_url = format!("type.googleapis.com/{}", any.type_url);
        assert_eq!(unpack::<Options>(&any).unwrap(), options);
        assert!(matches!(unpack::<crate::events::TaskExit>(&any), Err(UnpackError::Type { .. })));
    }
}
