//! Limits as unit properties (systemd.resource-control(5)).

use runtime_spec::Resources;

use super::{Scope, Value};
use crate::error::Result;
use crate::host::Mode;
use crate::limits::convert;

/// systemd counts quotas in steps of 10 ms a second.
const QUOTA_STEP: u64 = 10_000;

/// What makes the unit a container's.
pub(super) fn unit(scope: &Scope, pids: &[u32]) -> Vec<(String, Value)> {
    let is_slice = scope.unit.ends_with(".slice");
    let mut all = vec![
        ("Description".to_owned(), Value::Text(format!("container {}", scope.unit))),
        (if is_slice { "Wants" } else { "Slice" }.to_owned(), Value::Text(scope.slice.clone())),
        ("DefaultDependencies".to_owned(), Value::Bool(false)),
    ];
    if !is_slice {
        all.push(("Delegate".to_owned(), Value::Bool(true)));
        all.push(("PIDs".to_owned(), Value::U32s(pids.to_vec())));
    }
    for accounting in ["MemoryAccounting", "CPUAccounting", "TasksAccounting", "IOAccounting"] {
        all.push((accounting.to_owned(), Value::Bool(true)));
    }
    all
}

/// The limits that systemd has properties for; the others live in control files alone.
pub(super) fn properties(limits: &Resources, mode: Mode) -> Result<Vec<(String, Value)>> {
    let is_v2 = mode == Mode::V2;
    let mut all = Vec::new();
    let mut add = |name: &str, value: u64| all.push((name.to_owned(), Value::U64(value)));
    // -1 becomes the largest number, which is systemd's "infinity".
    let bytes = |value: i64| value as u64;
    if let Some(memory) = &limits.memory {
        if let Some(limit) = memory.limit.filter(|l| *l != 0) {
            add(if is_v2 { "MemoryMax" } else { "MemoryLimit" }, bytes(limit));
        }
        if is_v2 {
            if let Some(reservation) = memory.reservation.filter(|r| *r != 0) {
                add("MemoryLow", bytes(reservation));
            }
            if let Some(swap) = convert::swap(memory)? {
                add("MemorySwapMax", bytes(swap));
            }
        }
    }
    if let Some(cpu) = &limits.cpu {
        if let Some(shares) = cpu.shares.filter(|s| *s != 0) {
            match is_v2 {
                true => add("CPUWeight", convert::weight(shares)),
                false => add("CPUShares", shares),
            }
        }
        if let Some(quota) = cpu.quota.filter(|q| *q != 0) {
            let period = cpu.period.filter(|p| *p != 0).unwrap_or(100_000);
            let per_second = match u64::try_from(quota) {
                Ok(quota) => (quota.saturating_mul(1_000_000) / period).next_multiple_of(QUOTA_STEP),
                Err(_) => u64::MAX,
            };
            add("CPUQuotaPerSecUSec", per_second);
            add("CPUQuotaPeriodUSec", period);
        }
    }
    if let Some(limit) = limits.pids.as_ref().and_then(|p| p.limit) {
        add("TasksMax", if limit == 0 { 1 } else { limit.max(-1) as u64 });
    }
    if let (Some(cpu), true) = (&limits.cpu, is_v2) {
        for (name, list) in [("AllowedCPUs", &cpu.cpus), ("AllowedMemoryNodes", &cpu.mems)] {
            if !list.is_empty() {
                all.push((name.to_owned(), Value::Bytes(mask(list))));
            }
        }
    }
    Ok(all)
}

/// "0-3,9" as bits, the lowest first.
fn mask(list: &str) -> Vec<u8> {
    let mut bits = Vec::new();
    for number in crate::stats::list(list) {
        let byte = usize::from(number / 8);
        if bits.len() <= byte {
            bits.resize(byte + 1, 0);
        }
        bits[byte] |= 1 << (number % 8);
    }
    bits
}
