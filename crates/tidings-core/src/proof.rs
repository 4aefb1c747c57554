//! Who has shown to be where it says: until then, nobody makes this node send more than three times what it sent.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::message::Cookie;
use crate::rng::Rng;
use crate::time::Moment;

/// For how long a proof holds, and for how long a cookie is good at least.
const LASTS: Duration = Duration::from_secs(600);
/// How many times what it sent an unproved address gets back.
const FACTOR: usize = 3;
/// How much of a source is answered in an interval, or in a second if that is shorter, in quarters of a message: a request for
/// pieces counts for one.
const MOST: u32 = 4 * 64;

/// Addresses that were proved, and how much the sources of the present interval sent.
#[derive(Debug)]
pub(crate) struct Proofs {
    /// What cookies are made with.
    secret: [u8; 32],
    proved: BTreeMap<Source, Moment>,
    spent: BTreeMap<Source, u32>,
    since: Moment,
    window: Duration,
    most: usize,
}

impl Proofs {
    /// Keeps `most` addresses at most; budgets are for `window`, or for a second if that is shorter.
    pub(crate) fn new(rng: &mut Rng, most: usize, window: Duration) -> Self {
        let mut secret = [0; 32];
        secret.chunks_mut(8).for_each(|part| part.copy_from_slice(&rng.word().to_be_bytes()));
        let window = window.min(Duration::from_secs(1));
        let (proved, spent, since) = (BTreeMap::new(), BTreeMap::new(), Moment::default());
        Self { secret, proved, spent, since, window, most }
    }

    /// `address` answered what was sent there.
    pub(crate) fn prove(&mut self, address: SocketAddr, now: Moment) {
        let source = Source::of(address);
        if self.proved.len() >= self.most && !self.proved.contains_key(&source) {
            self.proved.retain(|_, until| *until > now);
            if self.proved.len() >= self.most {
                self.proved.pop_first();
            }
        }
        self.proved.insert(source, now + LASTS);
    }

    /// Whether `address` was proved of late.
    pub(crate) fn is_proved(&self, address: SocketAddr, now: Moment) -> bool {
        self.proved.get(&Source::of(address)).is_some_and(|until| *until > now)
    }

    /// How many bytes may be sent because of the `len` that just came from `address`.
    pub(crate) fn allowance(&self, address: SocketAddr, len: usize, now: Moment) -> usize {
        if self.is_proved(address, now) { usize::MAX } else { FACTOR.saturating_mul(len) }
    }

    /// The cookie of `address`. Nothing is stored for it.
    pub(crate) fn cookie(&self, address: SocketAddr, now: Moment) -> Cookie {
        self.cookie_of(address, epoch(now))
    }

    /// `address` shows `cookie`: if it is its own, of now or of just before, the address is proved.
    pub(crate) fn check(&mut self, address: SocketAddr, cookie: Cookie, now: Moment) {
        let epoch = epoch(now);
        if [epoch, epoch.wrapping_sub(1)].iter().any(|&epoch| self.cookie_of(address, epoch) == cookie) {
            self.prove(address, now);
        }
    }

    /// The number with which this node offers something to `address`: half of its cookie. A request with the same number
    /// can only come from there.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn number(&self, address: SocketAddr, now: Moment) -> u32 {
        self.cookie(address, now).0 as u32
    }

    /// `address` asks with the `number` of an offer: if it is its own, of now or of just before, the address is proved.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn check_number(&mut self, address: SocketAddr, number: u32, now: Moment) {
        let epoch = epoch(now);
        if [epoch, epoch.wrapping_sub(1)]
            .iter()
            .any(|&epoch| self.cookie_of(address, epoch).0 as u32 == number)
        {
            self.prove(address, now);
        }
    }

    fn cookie_of(&self, address: SocketAddr, epoch: u64) -> Cookie {
        let mut hash = Sha256::new_with_prefix(self.secret);
        match address.ip() {
            IpAddr::V4(ip) => hash.update(ip.octets()),
            IpAddr::V6(ip) => hash.update(ip.octets()),
        }
        hash.update(address.port().to_be_bytes());
        hash.update(epoch.to_be_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        Cookie(u64::from_be_bytes(*digest.first_chunk().expect("32 bytes hold 8")))
    }

    /// Whether `address` may be answered once more by now, which costs `quarters` of a message.
    pub(crate) fn spend(&mut self, address: SocketAddr, quarters: u32, now: Moment) -> bool {
        if now.since(self.since) >= self.window {
            self.spent.clear();
            self.since = now;
        }
        let source = Source::of(address);
        if self.spent.len() >= self.most && !self.spent.contains_key(&source) {
            return true;
        }
        let spent = self.spent.entry(source).or_default();
        *spent = spent.saturating_add(quarters);
        *spent <= MOST
    }
}

/// An address as numbers: each message is looked up by it, and an address itself takes four times as long to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// IP and port.
    V4(u64),
    /// IP, port, and the link that it is of. A label of the flow makes no other place.
    V6([u8; 16], u16, u32),
}

impl Source {
    fn of(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::V4(u64::from(v4.ip().to_bits()) << 16 | u64::from(v4.port())),
            SocketAddr::V6(v6) => Self::V6(v6.ip().octets(), v6.port(), v6.scope_id()),
        }
    }
}

/// Cookies change at the turn of these.
fn epoch(now: Moment) -> u64 {
    now.since(Moment::default()).as_secs() / LASTS.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);
    const BOB: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 2);

    fn after(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    #[test]
    fn a_cookie_is_good_for_its_address_and_its_time() {
        let mut proofs = Proofs::new(&mut Rng::new(1), 10, Duration::from_secs(60));
        let cookie = proofs.cookie(ANN, after(599));
        proofs.check(BOB, cookie, after(599));
        assert!(!proofs.is_proved(BOB, after(599)));
        proofs.check(ANN, cookie, after(1_800));
        assert!(!proofs.is_proved(ANN, after(1_800)));
        proofs.check(ANN, cookie, after(1_199));
        assert!(proofs.is_proved(ANN, after(1_798)) && !proofs.is_proved(ANN, after(1_799)));
        assert_eq!(proofs.allowance(ANN, 100, after(1_200)), usize::MAX);
        assert_eq!(proofs.allowance(BOB, 100, after(1_200)), 300);
    }

    #[test]
    fn a_source_has_a_budget_of_its_own() {
        let mut proofs = Proofs::new(&mut Rng::new(1), 10, Duration::from_secs(60));
        assert!((0..64).all(|_| proofs.spend(ANN, 4, after(7))));
        assert!(!proofs.spend(ANN, 4, after(7)));
        assert!(proofs.spend(BOB, 4, after(7)));
        assert!(proofs.spend(ANN, 4, after(8)));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut proofs = Proofs::new(&mut Rng::new(1), 10, Duration::from_secs(60));
        for port in 1..1_000 {
            let address = SocketAddr::new(ANN.ip(), port);
            proofs.prove(address, after(0));
            proofs.spend(address, 1, after(0));
        }
        assert_eq!((proofs.proved.len(), proofs.spent.len()), (10, 10));
    }
}
