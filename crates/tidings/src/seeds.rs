//! Seeds: names that are looked up again for ever, since what runs behind a name moves.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tidings_core::{Gossiper, Time};
use tokio::net::lookup_host;
use tokio::sync::watch;

use crate::error::Error;

/// A name or address of a seed.
///
/// Invariant: it has the form `host:port`, with neither part empty nor the port zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seed(String);

impl Seed {
    pub(crate) fn new(text: &str) -> Result<Self, Error> {
        let refuse = || Error::Seed { seed: text.to_owned() };
        if let Ok(address) = text.parse::<SocketAddr>() {
            return if address.port() == 0 { Err(refuse()) } else { Ok(Self(text.to_owned())) };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(refuse)?;
        let port: u16 = port.parse().map_err(|_| refuse())?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if host.is_empty() || port == 0 || !host.chars().all(plain) {
            return Err(refuse());
        }
        Ok(Self(text.to_owned()))
    }
}

/// Where a node begins: at seeds, or with neighbours.
#[derive(Debug)]
pub(crate) struct Contacts {
    pub are_neighbours: bool,
    /// Their addresses, as they are looked up; `None` if there are none.
    pub found: Option<watch::Receiver<Vec<SocketAddr>>>,
}

impl Contacts {
    /// Tells `core` where they are.
    pub(crate) fn tell(&self, core: &mut Gossiper, now: Time, addresses: Vec<SocketAddr>) {
        if self.are_neighbours {
            core.handle_neighbours(now, addresses);
        } else {
            core.handle_seeds(now, addresses);
        }
    }
}

/// At most as many addresses as this count, however many a name has.
const MOST: usize = 1_024;
/// How long to wait between two look-ups once all names were found, and how long at first while they were not.
const FIRST: Duration = Duration::from_secs(2);
const CALM: Duration = Duration::from_secs(30);
const EAGER: Duration = Duration::from_secs(1);

/// The addresses of the seeds, looked up once: names for two seconds at most, so that a node knows whom to ask about its
/// own name before it takes part.
pub(crate) async fn first(seeds: &[Seed], own: SocketAddr) -> Vec<SocketAddr> {
    let mut known: Vec<Vec<SocketAddr>> = vec![Vec::new(); seeds.len()];
    let resolve = async |seed: &str| lookup_host(seed).await.map(Iterator::collect);
    // What was found until then counts.
    let _ = tokio::time::timeout(FIRST, refresh(seeds, &mut known, own, resolve)).await;
    known.into_iter().flatten().take(MOST).collect()
}

/// Looks all seeds up, again and again, and publishes their addresses, until nobody listens. What a name had last stays
/// while its name server is silent.
pub(crate) async fn look_up(seeds: Vec<Seed>, own: SocketAddr, found: watch::Sender<Vec<SocketAddr>>) {
    let mut wait = EAGER;
    let mut known: Vec<Vec<SocketAddr>> = vec![Vec::new(); seeds.len()];
    loop {
        let resolve = async |seed: &str| lookup_host(seed).await.map(Iterator::collect);
        let complete = refresh(&seeds, &mut known, own, resolve).await;
        let addresses: Vec<_> = known.iter().flatten().copied().take(MOST).collect();
        found.send_if_modified(|old| {
            let changed = *old != addresses;
            *old = addresses;
            changed
        });
        wait = if complete { CALM } else { (2 * wait).min(CALM) };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = found.closed() => return,
        }
    }
}

/// Looks all seeds up once. Returns whether all were found; of one that was not, what was known stays.
async fn refresh(
    seeds: &[Seed],
    known: &mut [Vec<SocketAddr>],
    own: SocketAddr,
    resolve: impl AsyncFn(&str) -> io::Result<Vec<SocketAddr>>,
) -> bool {
    let mut complete = true;
    for (Seed(seed), known) in seeds.iter().zip(known) {
        match resolve(seed).await {
            Ok(some) => {
                *known = some.into_iter().filter(|address| address.is_ipv4() == own.is_ipv4()).collect();
            }
            Err(error) => {
                complete = false;
                tracing::warn!(%seed, %error, "the seed's name was not found");
            }
        }
    }
    complete
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::Ipv4Addr;

    use super::*;

    /// R37: names move, name servers fail, and some names have a thousand addresses.
    #[tokio::test]
    async fn r37_names_are_looked_up_again_and_what_was_known_stays_while_the_server_is_silent() {
        let seeds = ["moves:1", "fails:1", "many:1"].map(|seed| Seed::new(seed).unwrap());
        let (own, turn) = (SocketAddr::from((Ipv4Addr::LOCALHOST, 9)), Cell::new(0_u8));
        let at = |last| SocketAddr::from(([10, 0, 0, last], 1));
        let resolve = async |seed: &str| match seed {
            "moves:1" => Ok(vec![at(turn.get()), SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 1))]),
            "fails:1" if turn.get() > 1 => Err(io::Error::other("SERVFAIL")),
            "fails:1" => Ok(vec![at(200)]),
            _ => Ok((1..=1_000).map(|port| SocketAddr::from(([10, 0, 1, 1], port))).collect()),
        };
        let mut known = vec![Vec::new(); 3];
        for (round, complete) in [(1, true), (2, false)] {
            turn.set(round);
            assert_eq!(refresh(&seeds, &mut known, own, &resolve).await, complete);
            assert_eq!(known[0], [at(round)], "it moved; of another family it is not reached");
            assert_eq!(known[1], [at(200)]);
            assert_eq!(known[2].len(), 1_000);
        }
    }

    /// R37, the parser: a comma at the end is no second seed on this machine.
    #[test]
    fn r37_a_seed_is_host_and_port() {
        for good in ["10.0.0.7:8434", "[::1]:8434", "tidings.default.svc:8434", "my_host:1"] {
            assert_eq!(Seed::new(good).unwrap(), Seed(good.to_owned()));
        }
        for bad in
            ["", "host", "host:", ":8434", "a:1,", "a:1,b:2", "host:0", "1.2.3.4:0", "::1:x", "host:99999"]
        {
            assert!(Seed::new(bad).is_err(), "{bad:?}");
        }
    }
}
