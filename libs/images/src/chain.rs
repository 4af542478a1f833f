//! Names of stacks of layers (image-spec config.md#layer-chainid).

use reference::Digest;
use sha2::{Digest as _, Sha256};

/// The chain ID of each prefix of `diff_ids`.
pub fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let next = match chain.last() {
            None => diff_id.clone(),
            Some(below) => {
                let sum = Sha256::digest(format!("{below} {diff_id}"));
                Digest::parse(&format!("sha256:{}", hex::encode(sum)))
                    .expect("a computed digest is well formed")
            }
        };
        chain.push(next);
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_is_the_layer_and_the_rest_is_hashed() {
        let a = Digest::parse(&format!("sha256:{}", "a".repeat(64))).unwrap();
        let chain = chain_ids(&[a.clone(), a.clone()]);
        assert_eq!(chain[0], a);
        let expected = hex::encode(Sha256::digest(format!("{a} {a}")));
        assert_eq!(chain[1].hex(), expected);
        assert!(chain_ids(&[]).is_empty());
    }
}
