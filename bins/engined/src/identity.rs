//! Random identifiers, and the names of containers that were given none.

/// 64 hexadecimal digits; never all decimal, so that no prefix reads as a number.
pub fn new_id() -> String {
    loop {
        let mut bytes = [0; 32];
        // Without randomness nothing sensible can go on; the kernel call fails on no real system.
        getrandom::fill(&mut bytes).expect("the kernel gives random bytes");
        let id = hex::encode(bytes);
        if !id[..12].bytes().all(|b| b.is_ascii_digit()) {
            return id;
        }
    }
}

/// The form in which people see an identifier.
pub fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// `calm_harbour`, with a digit from the second try on.
pub fn random_name(attempt: u32) -> String {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).expect("the kernel gives random bytes");
    let pick = |words: &'static str, at: usize| {
        let words: Vec<&str> = words.split_whitespace().collect();
        words[usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]])) % words.len()]
    };
    let name = format!("{}_{}", pick(ADJECTIVES, 0), pick(NOUNS, 2));
    if attempt == 0 { name } else { format!("{name}{}", attempt % 10) }
}

/// Whether a container may carry the name.
pub fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && name.len() > 1
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

const ADJECTIVES: &str = "able airy ample apt blithe bold brave breezy bright brisk calm candid careful cheery
    civil clear clever cosy crisp daring deft eager early easy even fair fine firm fleet fond frank free fresh
    gentle giddy glad golden good grand hale handy happy hardy hearty honest jolly keen kind lively loyal lucid
    merry mild neat nimble noble patient placid plain pleased plucky polite proud quick quiet ready robust rosy
    sage serene sharp shiny simple sleek smart snug solid sound spry steady still stout strong sunny sure swift
    tidy tranquil trim true trusty upbeat vivid warm wise witty zesty";

const NOUNS: &str = "anchor astrolabe barge barque beacon berth boatswain bollard boom bosun bow brig buoy cable
    canal canoe capstan captain caravel cargo chart clipper coast compass cove crane crest current cutter dinghy
    dock dory dugout eddy estuary ferry fjord fleet galleon galley gangway gull halyard harbour hawser helm hull
    inlet jetty junk kayak keel ketch lagoon lantern launch ledger lighter lock lugger mariner mast mooring oar
    outrigger packet paddle pier pilot pinnace pontoon port prow punt quay raft reef rigging rudder sail sampan
    schooner scull sextant shoal shore skiff sloop sound spar stern strait tender tide tiller trawler tug wake
    wharf wherry yacht yawl";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_names() {
        for attempt in 0..200 {
            assert!(is_name(&random_name(attempt)));
        }
    }

    #[test]
    fn names_follow_dockers_rule() {
        for good in ["ab", "a-b.c_d", "0x"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "a", "_ab", "a b", "a/b", "é1"] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn ids_are_64_hex_digits() {
        let id = new_id();
        assert_eq!(id.len(), 64);
        assert!(id.bytes().all(|b| b.is_ascii_hexdigit()));
    }
}
