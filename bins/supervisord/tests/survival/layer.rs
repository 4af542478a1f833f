//! Layers made on the spot.

/// A tar archive of files and symbolic links (names that end in `@`, their text being the target).
pub fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, data) in entries {
        let link = name.strip_suffix('@');
        let size = if link.is_some() { 0 } else { data.len() };
        let mut header = [0; 512];
        let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
        put(0, link.unwrap_or(name).as_bytes());
        put(100, b"0000755\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, format!("{size:011o}\0").as_bytes());
        put(136, b"00000000000\0");
        put(148, b"        ");
        put(156, if link.is_some() { b"2" } else { b"0" });
        if link.is_some() {
            put(157, data);
        }
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes.extend(header);
        if link.is_none() {
            bytes.extend(*data);
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// The host's static busybox under the names that tests use, and a place for what runtimes mount.
pub fn busybox() -> Vec<u8> {
    let program = std::fs::read("/bin/busybox").expect("busybox-static is installed");
    let mut entries: Vec<(&str, &[u8])> = vec![("bin/busybox", &program)];
    for name in ["bin/sh@", "bin/sleep@", "bin/true@", "bin/cat@", "bin/echo@", "bin/dd@", "bin/yes@"] {
        entries.push((name, b"busybox"));
    }
    entries.extend([("proc/.keep", &b""[..]), ("dev/.keep", &b""[..])]);
    tar(&entries)
}
