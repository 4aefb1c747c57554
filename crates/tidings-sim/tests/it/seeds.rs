//! What the swarm found: the smallest scenario that broke a promise, before the fault in the protocol was mended. The file says
//! what happened then.

use tidings_sim::scenario::{Scenario, run};

fn keeps_all_promises(text: &str) {
    let scenario = Scenario::parse(text).expect("a scenario that was written by a program");
    let outcome = run(&scenario);
    assert_eq!(outcome.broken, None, "{}", scenario.name);
}

macro_rules! mended {
    ($($name:ident: $file:literal;)*) => {$(
        #[test]
        fn $name() {
            keeps_all_promises(include_str!(concat!("seeds/", $file, ".toml")));
        }
    )*};
}

mended! {
    the_dead_are_not_told_of_for_ever: "the-dead-are-not-told-of-for-ever";
    refused_by_all_that_it_can_ask: "refused-by-all-that-it-can-ask";
    whose_pushes_nobody_believes: "whose-pushes-nobody-believes";
    whose_pushes_come_too_late: "whose-pushes-come-too-late";
    a_seed_that_nobody_believes: "a-seed-that-nobody-believes";
    a_look_in_time: "a-look-in-time";
    news_of_a_star_by_push: "news-of-a-star-by-push";
    a_namesake_that_nobody_believes: "a-namesake-that-nobody-believes";
    large_at_one_that_never_asks: "large-at-one-that-never-asks";
    two_of_a_name_that_meet_on_one_side: "two-of-a-name-that-meet-on-one-side";
    asked_for_as_forgotten: "asked-for-as-forgotten";
    removed_after_it_departed: "removed-after-it-departed";
    convicted_by_all_but_one: "convicted-by-all-but-one";
    live_for_one_and_forgotten_by_the_others: "live-for-one-and-forgotten-by-the-others";
    fetched_in_vain_and_back: "fetched-in-vain-and-back";
    a_delete_in_a_life_that_nobody_believed: "a-delete-in-a-life-that-nobody-believed";
}
