//! Network addresses (`inet`, `cidr`).

use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address and the number of bits of its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inet {
    /// The address, with its host bits.
    pub address: IpAddr,
    /// Length of the network's prefix: up to 32 or 128.
    pub bits: u8,
}

impl Inet {
    /// The address as a number of 32 or 128 bits, left aligned in 128.
    pub fn aligned(&self) -> u128 {
        match self.address {
            IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
            IpAddr::V6(address) => u128::from(address),
        }
    }

    /// An address of this one's family from what [`Inet::aligned`] gives.
    pub fn with_aligned(&self, aligned: u128, bits: u8) -> Inet {
        let address = match self.address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from((aligned >> 96) as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(aligned)),
        };
        Inet { address, bits }
    }

    /// The longest prefix: 32 or 128 bits.
    pub fn max_bits(&self) -> u8 {
        if self.is_v4() { 32 } else { 128 }
    }

    /// The bits of the prefix, set, as [`Inet::aligned`].
    pub fn mask(&self) -> u128 {
        match self.bits.min(self.max_bits()) {
            0 => 0,
            bits => u128::MAX << (128 - u32::from(bits)),
        }
    }

    /// The network: the bits behind the prefix are zero.
    pub fn network(&self) -> Inet {
        self.with_aligned(self.aligned() & self.mask(), self.bits)
    }

    /// Whether the address is of IPv4.
    pub fn is_v4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// SQL's order: IPv4 first; by the bits the networks share, then shorter prefixes first,
    /// then by address.
    pub fn sql_cmp(&self, other: &Inet) -> Ordering {
        let shared = self.bits.min(other.bits);
        let mask = if shared == 0 { 0 } else { u128::MAX << (128 - u32::from(shared.min(128))) };
        other
            .is_v4()
            .cmp(&self.is_v4())
            .then_with(|| (self.aligned() & mask).cmp(&(other.aligned() & mask)))
            .then(self.bits.cmp(&other.bits))
            .then_with(|| self.aligned().cmp(&other.aligned()))
    }
}
