//! What a request says of itself: the namespace it is about.

use errdefs::{Error, Result};
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

/// The header that names the namespace.
const NAMESPACE: &str = "containerd-namespace";

/// The namespace of a request; it must have one.
pub fn namespace<T>(request: &Request<T>) -> std::result::Result<String, Status> {
    Ok(from_metadata(request.metadata())?)
}

/// The namespace of a request, and its message.
pub fn namespace_of<T>(request: Request<T>) -> std::result::Result<(String, T), Status> {
    Ok((namespace(&request)?, request.into_inner()))
}

fn from_metadata(metadata: &MetadataMap) -> Result<String> {
    let named = metadata.get(NAMESPACE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if named.is_empty() {
        return Err(Error::failed_precondition("namespace is required"));
    }
    metadata::validate_identifier(named)
        .map_err(|cause| Error::invalid_argument("namespace validation").with_source(cause))?;
    Ok(named.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_a_valid_namespace() {
        let mut request = Request::new(());
        assert_eq!(namespace(&request).unwrap_err().code(), tonic::Code::FailedPrecondition);
        request.metadata_mut().insert(NAMESPACE, "a/b".parse().unwrap());
        assert_eq!(namespace(&request).unwrap_err().code(), tonic::Code::InvalidArgument);
        request.metadata_mut().insert(NAMESPACE, "moby".parse().unwrap());
        assert_eq!(namespace(&request).unwrap(), "moby");
    }
}
