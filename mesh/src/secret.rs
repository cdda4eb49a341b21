//! What the processes of a job prove to each other to know.
//!
//! **Sources**: HMAC, RFC 2104; SHA-256, FIPS 180-4.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The bytes of a proof.
pub const PROOF_BYTES: usize = 32;

/// A proof of the secret over something.
pub type Proof = [u8; PROOF_BYTES];

/// The secret of a job.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Returns a secret of these bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Secret(bytes.into())
    }

    fn mac(&self, role: Role, parts: &[&[u8]]) -> Hmac<Sha256> {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("a key of any length will do")
        };
        mac.update(&[role as u8]);
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac
    }

    /// Proves the secret over the parts.
    ///
    /// - `role`: who proves: what one side has proved is of no use to the other.
    #[must_use]
    pub fn prove(&self, role: Role, parts: &[&[u8]]) -> Proof {
        self.mac(role, parts).finalize().into_bytes().into()
    }

    /// Returns whether a proof is one, in a time that does not depend on how wrong it is.
    #[must_use]
    pub fn is_proved(&self, role: Role, parts: &[&[u8]], proof: &Proof) -> bool {
        self.mac(role, parts).verify_slice(proof).is_ok()
    }
}

/// Who proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// The one who connects.
    Caller = 1,
    /// The one who listens.
    Host = 2,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_holds_for_one_secret_one_role_and_one_division_into_parts() {
        let secret = Secret::new("swordfish");
        let proof = secret.prove(Role::Caller, &[b"ab", b"c"]);
        assert!(secret.is_proved(Role::Caller, &[b"ab", b"c"], &proof));
        assert!(!secret.is_proved(Role::Host, &[b"ab", b"c"], &proof));
        assert!(!secret.is_proved(Role::Caller, &[b"a", b"bc"], &proof));
        assert!(!Secret::new("sword").is_proved(Role::Caller, &[b"ab", b"c"], &proof));
        assert_eq!(format!("{secret:?}"), "Secret");
    }
}
