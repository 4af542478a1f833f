//! What the containerd API promises, asked by gRPC of supervisord and of the host's containerd alike: the behaviours
//! that containerd's own suites assert of its stores, leases, events and tasks, written against the interface.

mod content;
mod events;
mod gc;
mod metadata;
mod snapshots;
mod subject;
mod tasks;

use integration::containerd::{Peer, containerd, supervisord};
use integration::peer::require;
use subject::Subject;

/// Each suite is a test on each of the two.
macro_rules! suites {
    ($($suite:ident)*) => {
        mod on_supervisord {
            $(#[tokio::test]
            async fn $suite() {
                let mut peer = super::Peer::start(super::supervisord);
                crate::$suite::suite(&super::Subject::connect(&peer).await).await;
                peer.end();
            })*
        }
        mod on_containerd {
            $(#[tokio::test]
            async fn $suite() {
                if !super::require("containerd") {
                    return;
                }
                let mut peer = super::Peer::start(super::containerd);
                crate::$suite::suite(&super::Subject::connect(&peer).await).await;
                peer.end();
            })*
        }
    };
}

suites! { content snapshots metadata gc events tasks }
