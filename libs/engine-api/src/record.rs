//! The form of all records: Go's reading and writing habits in one macro.

use serde::{Deserialize, Deserializer, Serialize};

/// Reads `null` as the default value, as Go does.
///
/// # Errors
/// The value is neither null nor a `T`.
pub fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Whether a field marked `[omitempty]` is left out.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The value `{}` of Go's sets (`map[string]struct{}`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// Declares structs whose keys are the fields in PascalCase (or as `#[serde(rename)]` says;
/// `record! { "snake_case"; ... }` names another rule for all).
/// `; flatten field: Type` at the end takes in the fields of an embedded struct.
macro_rules! record {
    ($(#[$meta:meta])* pub struct $($rest:tt)*) => {
        record! { "PascalCase"; $(#[$meta])* pub struct $($rest)* }
    };
    ($case:literal; $(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$attr:meta])* $field:ident $([$omit:ident])? : $ty:ty ),* $(,)?
            $(; flatten $flat:ident : $flat_ty:ty)?
        }
    )*) => { $(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = $case, default)]
        pub struct $name {
            $(
                $(#[$attr])*
                $(#[doc = stringify!($omit)] #[serde(skip_serializing_if = "crate::is_default")])?
                #[serde(deserialize_with = "crate::null_is_default")]
                pub $field: $ty,
            )*
            $( #[serde(flatten)] pub $flat: $flat_ty, )?
        }
    )* };
}
