//! What tasks use, under the names of containerd's cgroups collector.

mod v1;
mod v2;

use super::exposition::Page;
use containerd_api::types::Metric;
use containerd_api::{cgroups, unpack};

/// A value, and the labels that tell it from the metric's others.
type Sample = (Vec<(&'static str, String)>, u64);
/// A metric's name, and where its values are.
type Gauge<M> = (&'static str, fn(&M) -> Option<Vec<Sample>>);

fn one(value: u64) -> Option<Vec<Sample>> {
    Some(vec![(Vec::new(), value)])
}

/// A task, and what its control group counts.
pub struct Task {
    namespace: String,
    id: String,
    usage: Usage,
}

enum Usage {
    V1(Box<cgroups::v1::Metrics>),
    V2(Box<cgroups::v2::Metrics>),
}

impl Task {
    /// Of what a shim says; None if it says it in neither version's words.
    pub fn new(namespace: &str, metric: Metric) -> Option<Task> {
        let data = metric.data?;
        let v1 = unpack(&data).ok().map(|found| Usage::V1(Box::new(found)));
        let usage = v1.or_else(|| unpack(&data).ok().map(|found| Usage::V2(Box::new(found))))?;
        Some(Task { namespace: namespace.to_owned(), id: metric.id, usage })
    }
}

/// Writes every metric of every task.
pub fn write(tasks: &[Task], page: &mut Page) {
    write_gauges(v1::GAUGES, tasks, page, |task| match &task.usage {
        Usage::V1(usage) => Some(usage),
        Usage::V2(_) => None,
    });
    write_gauges(v2::GAUGES, tasks, page, |task| match &task.usage {
        Usage::V2(usage) => Some(usage),
        Usage::V1(_) => None,
    });
}

fn write_gauges<M>(
    gauges: &[Gauge<M>],
    tasks: &[Task],
    page: &mut Page,
    usage: impl Fn(&Task) -> Option<&M>,
) {
    for (name, read) in gauges {
        let found = tasks.iter().filter_map(|task| Some((task, read(usage(task)?)?)));
        let mut found = found.filter(|(_, samples)| !samples.is_empty()).peekable();
        if found.peek().is_some() {
            page.metric(name, "gauge");
        }
        for (task, samples) in found {
            for (labels, value) in samples {
                let mut all =
                    vec![("container_id", task.id.as_str()), ("namespace", task.namespace.as_str())];
                all.extend(labels.iter().map(|(name, value)| (*name, value.as_str())));
                page.sample(name, &all, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use containerd_api::pack;

    #[test]
    fn both_versions_are_shown_under_their_names() {
        let metric = |id: &str, data| Metric { id: id.into(), data: Some(data), timestamp: None };
        let one = cgroups::v1::Metrics {
            pids: Some(cgroups::v1::PidsStat { current: 3, limit: 0 }),
            cpu: Some(cgroups::v1::CpuStat {
                usage: Some(cgroups::v1::CpuUsage { per_cpu: vec![5, 7], ..Default::default() }),
                throttling: None,
            }),
            ..Default::default()
        };
        let two = cgroups::v2::Metrics {
            memory: Some(cgroups::v2::MemoryStat { usage: 9, ..Default::default() }),
            ..Default::default()
        };
        let odd = containerd_api::Any { type_url: "odd".into(), value: Vec::new() };
        assert!(Task::new("n", metric("odd", odd)).is_none());
        let tasks = [metric("one", pack(&one)), metric("two", pack(&two))];
        let tasks: Vec<Task> = tasks.into_iter().filter_map(|metric| Task::new("n", metric)).collect();
        let mut page = Page::default();
        write(&tasks, &mut page);
        let text = page.text();
        for line in [
            "# TYPE container_pids_current gauge",
            "container_pids_current{container_id=\"one\",namespace=\"n\"} 3",
            "container_per_cpu_nanoseconds{container_id=\"one\",namespace=\"n\",cpu=\"1\"} 7",
            "container_memory_usage_bytes{container_id=\"two\",namespace=\"n\"} 9",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("hugetlb"), "what is not counted is not shown");
    }
}
