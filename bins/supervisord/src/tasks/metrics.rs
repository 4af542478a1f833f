//! What tasks use, as their control groups count it.

use super::Tasks;
use crate::config::Timeouts;
use containerd_api::task::v3;
use containerd_api::types::Metric;
use errdefs::{Error, Result};
use std::time::SystemTime;

impl Tasks {
    /// The metrics of each task of `namespace` whose id `wanted` accepts. One without any is left out.
    pub async fn metrics(&self, namespace: &str, wanted: impl Fn(&str) -> bool) -> Result<Vec<Metric>> {
        let shims = self.shims.list(namespace).into_iter().filter(|shim| wanted(shim.id()));
        let asked: Vec<_> = shims
            .map(|shim| {
                tokio::spawn(async move {
                    let request = v3::StatsRequest { id: shim.id().to_owned() };
                    let answer = shim
                        .client()
                        .call_within::<_, v3::StatsResponse>(
                            "Stats",
                            &request,
                            Some(Timeouts::set().shim_stats),
                        )
                        .await;
                    (shim.id().to_owned(), answer)
                })
            })
            .collect();
        let mut metrics = Vec::with_capacity(asked.len());
        for answer in asked {
            let (id, stats) =
                answer.await.map_err(|e| Error::internal("cannot collect metrics").with_source(e))?;
            match stats {
                Ok(v3::StatsResponse { stats: Some(data) }) => {
                    metrics.push(Metric {
                        timestamp: Some(events::timestamp(SystemTime::now())),
                        id,
                        data: Some(data),
                    });
                }
                Ok(v3::StatsResponse { stats: None }) => {}
                Err(error) => tracing::debug!(id, namespace, "task has no metrics: {}", error.chain()),
            }
        }
        Ok(metrics)
    }
}
