//! How every type of the specification is read and written.

use serde::{Deserialize, Deserializer};

/// Reads `null` as the default value.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// What may be left out when written: the empty, but never a number or a truth value. The
/// specification requires many of those (a rule's `allow`, a mapping's ids, a limit's `soft`), and
/// crun refuses a config.json without.
pub(crate) trait Written {
    fn is_left_out(&self) -> bool {
        false
    }
}

macro_rules! always_written {
    ($($kind:ty),*) => { $(impl Written for $kind {})* };
}

always_written!(bool, u16, u32, u64, i32, i64);

macro_rules! written_unless_empty {
    ($($kind:ty [$($parameter:ident)*] $test:ident;)*) => {
        $(impl<$($parameter),*> Written for $kind {
            fn is_left_out(&self) -> bool {
                self.$test()
            }
        })*
    };
}

written_unless_empty! {
    String [] is_empty;
    Vec<T> [T] is_empty;
    Option<T> [T] is_none;
    std::collections::BTreeMap<K, V> [K V] is_empty;
}

/// [`Written::is_left_out`] for serde.
pub(crate) fn is_left_out(value: &impl Written) -> bool {
    value.is_left_out()
}

/// Declares a struct with camelCase names whose fields are all optional and nullable.
macro_rules! shape {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$field_meta:meta])* pub $field:ident: $kind:ty,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[serde(
                    deserialize_with = "crate::shape::nullable",
                    skip_serializing_if = "crate::shape::is_left_out"
                )]
                pub $field: $kind,
            )*
        }

        impl crate::shape::Written for $name {}
    };
}
