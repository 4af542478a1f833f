//! gRPC over a unix socket, connected at the first call and again after each loss.

use std::path::Path;
use std::time::Duration;

use containerd_api::Dial;
use tonic::transport::{Channel, Endpoint};

/// A live server accepts at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// HTTP/2 windows: large enough that blobs are not paced by round trips.
const WINDOW_BYTES: u32 = 4 << 20;

pub fn lazily(address: &Path) -> Channel {
    // The host part goes into the `:authority` header and means nothing on a unix socket.
    Endpoint::from_static("http://localhost")
        .connect_timeout(CONNECT_TIMEOUT)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .connect_with_connector_lazy(Dial(address.to_owned()))
}
