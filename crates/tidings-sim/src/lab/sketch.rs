//! Rateless set reconciliation: how many coded symbols two sets need whose difference has so many elements.
//!
//! Yang, Gilad and Alizadeh 2024 (arXiv 2402.02668): symbol i is the sum of a share of 1 / (1 + i/2) of all elements; the
//! receiver subtracts its own, and peels off an element wherever just one is left.

use crate::lab::chance::Chance;

/// How many symbols it takes until all of `elements` are recovered.
pub(crate) fn symbols(elements: usize, chance: &mut Chance) -> usize {
    // Far more than are ever needed: a run that came to the end would be counted too low, and there is none.
    let most = elements * 4 + 64;
    let mut symbols = vec![Symbol::default(); most];
    let places: Vec<Vec<u32>> = (0..elements).map(|_| places(most, chance)).collect();
    let mut found = vec![false; elements];
    let mut left = elements;
    let mut order: Vec<(u32, u32)> = Vec::new();
    for (element, places) in (0..).zip(&places) {
        order.extend(places.iter().map(|&place| (place, element)));
    }
    order.sort_unstable();
    let mut arriving = order.into_iter().peekable();
    let mut single = Vec::new();
    for used in 0..most {
        while let Some((_, element)) = arriving.next_if(|&(place, _)| place as usize == used) {
            if !found[element as usize] {
                symbols[used].add(element);
            }
        }
        single.push(used);
        while let Some(place) = single.pop() {
            let Some(element) = symbols[place].only() else { continue };
            found[element as usize] = true;
            left -= 1;
            let known = places[element as usize].iter().map(|&place| place as usize);
            for place in known.take_while(|&place| place <= used) {
                symbols[place].remove(element);
                single.push(place);
            }
        }
        if left == 0 {
            return used + 1;
        }
    }
    most
}

/// The sum of some elements.
#[derive(Debug, Clone, Default)]
struct Symbol {
    count: u32,
    sum: u32,
}

impl Symbol {
    fn add(&mut self, element: u32) {
        self.count += 1;
        self.sum ^= element;
    }

    fn remove(&mut self, element: u32) {
        self.count -= 1;
        self.sum ^= element;
    }

    /// The element that it is, if it is just one.
    fn only(&self) -> Option<u32> {
        (self.count == 1).then_some(self.sum)
    }
}

/// In which of the first `most` symbols an element is: in the first, and then ever more rarely. The square root is exact by
/// the standard of floating point, so the same places come out everywhere.
fn places(most: usize, chance: &mut Chance) -> Vec<u32> {
    const SCALE: f64 = 4_294_967_296.0;
    let mut places = vec![0];
    let mut last = 0.0_f64;
    loop {
        let random = chance.word() as f64;
        last += ((last + 1.5) * (SCALE / (random + 1.0).sqrt() - 1.0)).ceil();
        if last >= most as f64 {
            return places;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is from 0 to `most`"
        )]
        places.push(last as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_element_takes_one_symbol() {
        assert!((0..100).all(|number| symbols(1, &mut Chance::new(1, "one", number)) == 1));
    }

    #[test]
    fn an_element_is_in_a_share_of_the_symbols_that_falls_with_their_number() {
        let all: Vec<_> =
            (0..4_000).map(|number| places(64, &mut Chance::new(1, "places", number))).collect();
        for symbol in [0, 1, 2, 8, 30] {
            let count = all.iter().filter(|places| places.contains(&symbol)).count();
            let expected = 4_000.0 / (1.0 + f64::from(symbol) / 2.0);
            assert!((count as f64 - expected).abs() < 160.0, "{count} in {symbol}, not {expected}");
        }
    }
}
