//! Everything survives the death, the silence and the want of anything: daemons killed at any instant, shims that
//! die or do not answer, disks that are full or stuck, clients that go away. Needs root, and shim and rt built.

mod crash;
mod few;
mod full;
mod known;
mod layer;
mod restart;
mod sandbox;
mod scale;
mod stuck;
mod support;
