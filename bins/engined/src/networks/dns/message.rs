//! The little of a name query and its answer that a resolver for containers needs (RFC 1035).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const HEADER_BYTES: usize = 12;
const IN: u16 = 1;
/// Pseudo-record by which a client tells how much it takes at once (RFC 6891).
const OPT: u16 = 41;
/// What every client takes over UDP.
const DATAGRAM_BYTES: usize = 512;
/// Answers change when containers come and go.
const TTL_SECONDS: u32 = 600;

pub const A: u16 = 1;
pub const PTR: u16 = 12;
pub const AAAA: u16 = 28;

/// How a query ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    NoError = 0,
    FormatError = 1,
    ServerFailure = 2,
    NotImplemented = 4,
}

/// A query with one question, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Header and question.
    bytes: Vec<u8>,
    /// In lower case, without the dot at the end.
    pub name: String,
    pub kind: u16,
    /// The longest answer that the client takes over UDP.
    datagram_bytes: usize,
}

impl Query {
    /// Reads a message; `None` when it is no plain query for one name.
    pub fn parse(message: &[u8]) -> Option<Query> {
        let header = message.get(..HEADER_BYTES)?;
        let (is_answer, opcode) = (header[2] & 0x80 != 0, header[2] >> 3 & 0xf);
        if is_answer || opcode != 0 || header[4..6] != [0, 1] {
            return None;
        }
        let mut labels = Vec::new();
        let mut at = HEADER_BYTES;
        loop {
            let length = usize::from(*message.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            // Longer ones are pointers, which a question has no use for.
            if length > 63 || at + length > HEADER_BYTES + 255 {
                return None;
            }
            labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_lowercase());
            at += length;
        }
        let word = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
        let (kind, class) = (word(at)?, word(at + 2)?);
        if class != IN {
            return None;
        }
        let bytes = message[..at + 4].to_vec();
        let datagram_bytes = datagram_bytes(&message[at + 4..]);
        Some(Query { bytes, name: labels.join("."), kind, datagram_bytes })
    }

    /// The answer as it fits into a datagram: one that is longer says so and holds nothing, and the
    /// client asks again by a stream.
    pub fn fitting(&self, answer: Vec<u8>) -> Vec<u8> {
        if answer.len() <= self.datagram_bytes {
            return answer;
        }
        let mut cut = self.empty(Code::NoError);
        cut[2] |= 0x02;
        cut
    }

    /// The address that a reverse query is about.
    pub fn reversed(&self) -> Option<IpAddr> {
        if let Some(digits) = self.name.strip_suffix(".ip6.arpa") {
            let digits: Vec<u8> = digits
                .split('.')
                .map(|digit| u8::from_str_radix(digit, 16).ok().filter(|_| digit.len() == 1))
                .collect::<Option<_>>()?;
            let digits = <[u8; 32]>::try_from(digits).ok()?;
            let number = digits.iter().rev().fold(0u128, |number, digit| number << 4 | u128::from(*digit));
            return Some(Ipv6Addr::from(number).into());
        }
        let parts: Vec<u8> = self
            .name
            .strip_suffix(".in-addr.arpa")?
            .split('.')
            .map(|part| part.parse().ok())
            .collect::<Option<_>>()?;
        <[u8; 4]>::try_from(parts).ok().map(|[d, c, b, a]| Ipv4Addr::new(a, b, c, d).into())
    }

    /// An answer without records.
    pub fn empty(&self, code: Code) -> Vec<u8> {
        self.answer(code, &[])
    }

    /// An answer with addresses.
    pub fn addresses(&self, addresses: &[IpAddr]) -> Vec<u8> {
        let bytes = |address: &IpAddr| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let data: Vec<Vec<u8>> = addresses.iter().map(bytes).collect();
        self.answer(Code::NoError, &data)
    }

    /// An answer with the name of an address.
    pub fn named(&self, name: &str) -> Vec<u8> {
        let mut data = Vec::new();
        for label in name.split('.').filter(|label| !label.is_empty()) {
            let label = &label.as_bytes()[..label.len().min(63)];
            data.push(label.len() as u8);
            data.extend_from_slice(label);
        }
        data.push(0);
        self.answer(Code::NoError, &[data])
    }

    fn answer(&self, code: Code, records: &[Vec<u8>]) -> Vec<u8> {
        let mut message = self.bytes.clone();
        let wants_recursion = message[2] & 1;
        // An answer, with authority nobody claims; recursion is available.
        message[2] = 0x80 | wants_recursion;
        message[3] = 0x80 | code as u8;
        message[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
        message[8..12].fill(0);
        for data in records {
            // The name is the question's.
            message.extend_from_slice(&[0xc0, HEADER_BYTES as u8]);
            message.extend_from_slice(&self.kind.to_be_bytes());
            message.extend_from_slice(&IN.to_be_bytes());
            message.extend_from_slice(&TTL_SECONDS.to_be_bytes());
            message.extend_from_slice(&(data.len() as u16).to_be_bytes());
            message.extend_from_slice(data);
        }
        message
    }
}

/// The size that a client's only additional record tells.
fn datagram_bytes(additional: &[u8]) -> usize {
    match additional {
        [0, high, low, size_high, size_low, ..] if u16::from_be_bytes([*high, *low]) == OPT => {
            usize::from(u16::from_be_bytes([*size_high, *size_low])).max(DATAGRAM_BYTES)
        }
        _ => DATAGRAM_BYTES,
    }
}

/// What is said to a message that is no plain query; nothing to what is no query at all.
pub fn refusal(message: &[u8]) -> Option<Vec<u8>> {
    let header = message.get(..HEADER_BYTES).filter(|header| header[2] & 0x80 == 0)?;
    let opcode = header[2] >> 3 & 0xf;
    let code = if opcode == 0 { Code::FormatError } else { Code::NotImplemented };
    let mut refusal = vec![0; HEADER_BYTES];
    refusal[..2].copy_from_slice(&header[..2]);
    refusal[2] = 0x80 | header[2] & 0x79;
    refusal[3] = 0x80 | code as u8;
    Some(refusal)
}

/// Whether `answer` belongs to `query`: the same number and the same question.
pub fn answers(query: &[u8], answer: &[u8]) -> bool {
    let is_answer = answer.get(2).is_some_and(|flags| flags & 0x80 != 0);
    let question = Query::parse(query).map(|query| query.bytes);
    let same_question = question.is_none_or(|question| {
        answer
            .get(HEADER_BYTES..question.len())
            .is_some_and(|own| own.eq_ignore_ascii_case(&question[HEADER_BYTES..]))
    });
    is_answer && query.get(..2) == answer.get(..2) && same_question
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut message = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            message.push(label.len() as u8);
            message.extend_from_slice(label.as_bytes());
        }
        message.extend_from_slice(&[0]);
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        message
    }

    #[test]
    fn questions_are_read_and_answered() {
        let asked = query("Web.Crew", A);
        let read = Query::parse(&asked).unwrap();
        assert_eq!((read.name.as_str(), read.kind), ("web.crew", A));
        let answer = read.addresses(&[Ipv4Addr::new(10, 0, 0, 2).into()]);
        assert!(answers(&asked, &answer));
        assert_eq!(answer[..8], [0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1]);
        assert_eq!(answer[answer.len() - 4..], [10, 0, 0, 2]);
        assert_eq!(read.empty(Code::ServerFailure)[3], 0x82);
    }

    #[test]
    fn long_answers_are_cut_as_the_client_says() {
        let many: Vec<IpAddr> = (0..60).map(|last| Ipv4Addr::new(10, 0, 0, last).into()).collect();
        let mut asked = query("web", A);
        let read = Query::parse(&asked).unwrap();
        let cut = read.fitting(read.addresses(&many));
        assert!(cut.len() <= 512 && cut[2] & 2 == 2 && cut[6..8] == [0, 0]);
        assert!(answers(&asked, &cut));
        let few = read.addresses(&many[..3]);
        assert_eq!(read.fitting(few.clone()), few);
        // The client takes 1232 bytes.
        asked[11] = 1;
        asked.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        let read = Query::parse(&asked).unwrap();
        assert_eq!(read.fitting(read.addresses(&many)), read.addresses(&many));
    }

    #[test]
    fn what_is_no_query_is_refused_or_left_alone() {
        assert_eq!(refusal(&[1, 2, 0x01, 0, 0, 2, 0, 0, 0, 0, 0, 0]).unwrap()[..4], [1, 2, 0x81, 0x81]);
        assert_eq!(refusal(&[1, 2, 0x28, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap()[3], 0x84);
        assert!(refusal(&[1, 2, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0]).is_none(), "an answer");
        assert!(refusal(&[1, 2, 3]).is_none());
    }

    #[test]
    fn reverse_names_are_addresses() {
        let reversed = |name: &str| Query::parse(&query(name, PTR)).unwrap().reversed();
        assert_eq!(reversed("4.3.2.1.in-addr.arpa"), Some(Ipv4Addr::new(1, 2, 3, 4).into()));
        assert_eq!(reversed("3.2.1.in-addr.arpa"), None);
        assert_eq!(reversed("x.3.2.1.in-addr.arpa"), None);
        let six = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.0.0.0.0.0.d.f.ip6.arpa";
        assert_eq!(reversed(six), Some("fd00:7::2".parse().unwrap()));
        assert_eq!(reversed("2.0.ip6.arpa"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(query) = Query::parse(&bytes) {
                prop_assert!(query.addresses(&[Ipv4Addr::LOCALHOST.into()]).len() > query.bytes.len());
                query.reversed();
                prop_assert!(query.fitting(vec![0; 70_000]).len() <= query.datagram_bytes);
            }
            refusal(&bytes);
            answers(&bytes, &bytes);
        }

        #[test]
        fn every_name_comes_through(name in "[a-z0-9_-]{1,20}(\\.[a-z0-9_-]{1,20}){0,4}") {
            prop_assert_eq!(Query::parse(&query(&name, AAAA)).unwrap().name, name);
        }
    }
}
