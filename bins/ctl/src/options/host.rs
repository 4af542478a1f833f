//! `--add-host`.

/// `HOST:IP` or `HOST=IP`; IPv6 in brackets or bare.
///
/// # Errors
/// Docker's texts.
pub fn extra(text: &str) -> Result<String, String> {
    let at = text.find(['=', ':']).filter(|at| *at > 0);
    let (host, ip) = at
        .map(|at| (&text[..at], &text[at + 1..]))
        .ok_or_else(|| format!("bad format for add-host: {text:?}"))?;
    let ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
    if ip != "host-gateway" && ip.parse::<std::net::IpAddr>().is_err() {
        return Err(format!("invalid IP address in add-host: {ip:?}"));
    }
    Ok(format!("{host}:{ip}"))
}
