//! Fencing tokens.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// A number that grows with every grant of a name, for the protected resource to check.
///
/// A holder can be paused for longer than its TTL and go on, unaware, after somebody else has been
/// granted the lock. No lock can prevent that; the resource can, if it remembers the greatest token
/// that it has seen and refuses smaller ones. (Martin Kleppmann, *How to do distributed locking*,
/// 2016.)
///
/// The token is the store's [number](Self::number) of the grant, shifted left by
/// [`LOCAL_BITS`](Self::LOCAL_BITS). The low bits are kept for grants that one client may come to
/// make locally under one hold of the store. It always fits an `i64`, the integer of most
/// databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(u64);

impl FencingToken {
    /// How many low bits are not the store's.
    pub const LOCAL_BITS: u32 = 10;
    /// The greatest number a store may give, so that every token fits an `i64`.
    pub const MAX_NUMBER: u64 = i64::MAX as u64 >> Self::LOCAL_BITS;

    /// The token of the store's grant `number`.
    ///
    /// # Errors
    /// `Unexpected` if the number is 0 or above [`MAX_NUMBER`](Self::MAX_NUMBER): a token that
    /// wraps would fence out everyone.
    pub fn from_number(number: u64) -> Result<Self> {
        if number == 0 || number > Self::MAX_NUMBER {
            return Err(Error::new(
                ErrorKind::Unexpected,
                format!(
                    "the store numbered a grant {number}; numbers run from 1 to {}",
                    Self::MAX_NUMBER
                ),
            ));
        }
        Ok(Self(number << Self::LOCAL_BITS))
    }

    /// The token, as the resource compares it.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The token for columns and languages that have no unsigned integers. Never negative.
    pub const fn as_i64(self) -> i64 {
        self.0.cast_signed()
    }

    /// The store's part of the token: the number of the grant.
    pub const fn number(self) -> u64 {
        self.0 >> Self::LOCAL_BITS
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_tokens_is_order_of_numbers_and_both_fit_an_i64() {
        let numbers = [
            1,
            2,
            1 << 20,
            FencingToken::MAX_NUMBER - 1,
            FencingToken::MAX_NUMBER,
        ];
        let tokens = numbers.map(|number| FencingToken::from_number(number).unwrap());
        assert!(tokens.is_sorted());
        for (token, number) in tokens.into_iter().zip(numbers) {
            assert_eq!(token.number(), number);
            assert!(token.as_i64() > 0);
        }
    }

    #[test]
    fn a_number_out_of_range_is_refused() {
        for number in [0, FencingToken::MAX_NUMBER + 1, u64::MAX] {
            assert_eq!(
                FencingToken::from_number(number).unwrap_err().kind(),
                ErrorKind::Unexpected
            );
        }
    }
}
