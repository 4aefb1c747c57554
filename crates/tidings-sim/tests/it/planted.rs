//! The checker bites: for each promise there is a fault that breaks it, and the swarm finds it within two hundred seeds.

use tidings_core::{Flaw, plant};
use tidings_sim::checker::Promise;
use tidings_sim::scenario::{Scenario, run};
use tidings_sim::swarm::draw;

/// How many seeds may be needed.
const SEEDS: u64 = 200;

/// Puts a fault into all that this thread runs, until it is dropped.
struct Planted;

impl Planted {
    fn new(flaw: Flaw) -> Self {
        plant(Some(flaw));
        Self
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        plant(None);
    }
}

/// The first promise that a seed finds broken is `promise`, for some seed.
fn is_found(flaw: Flaw, promise: Promise) {
    let planted = Planted::new(flaw);
    let mut others = Vec::new();
    for seed in 0..SEEDS {
        match run(&draw(seed)).broken {
            Some(broken) if broken.promise == promise => {
                eprintln!("{flaw:?}: {promise} by seed {seed}: {}", broken.what);
                return;
            }
            Some(broken) => others.push(format!("{} by seed {seed}: {}", broken.promise, broken.what)),
            None => {}
        }
    }
    drop(planted);
    panic!("{flaw:?} is not found as {promise}; instead: {others:#?}");
}

macro_rules! each_is_found {
    ($($name:ident: $flaw:ident is $promise:ident;)*) => {$(
        #[test]
        fn $name() {
            is_found(Flaw::$flaw, Promise::$promise);
        }
    )*};
}

each_is_found! {
    s1_no_invention: Relabelled is S1;
    s2_growth: Backwards is S2;
    s3_one_meaning: VersionReused is S3;
    s4_no_deleted_key_returns: DeleteUntold is S4;
    s4_no_life_goes_on_after_its_end: Undying is S4;
    s4_no_life_goes_on_after_its_owner_departed: Outlived is S4;
    s5_no_departed_node_returns: Returned is S5;
    s5_no_forgotten_node_returns: Haunted is S5;
    s5_a_certificate_covers_what_was_known: Shortsighted is S5;
    s6_self_authority: Overwritten is S6;
    s6_a_heart_beats_once_in_a_round: HeartRaces is S6;
    s6_no_heart_beats_back: HeartFalls is S6;
    s6_a_life_begins_for_a_claim: Unclaimed is S6;
    s6_no_request_is_granted_twice: WatermarkForgotten is S6;
    s6_a_change_and_its_outcome_are_one_write: AnsweredApart is S6;
    s7_the_promise_of_a_replica: GapSkipped is S7;
    s7_no_life_ends_too_soon: Curtailed is S7;
    s8_clusters_keep_apart: AnyCluster is S8;
    s9_a_durable_generation: GenerationReused is S9;
    s9_what_is_ephemeral_is_not_saved: EphemeralSaved is S9;
    s10_totality: Fatal is S10;
    s11_true_events: ChangeUntold is S11;
    s11_true_standings: ConvictionUntold is S11;
    s11_true_lives: RestartUntold is S11;
    s11_nothing_is_told_twice: ToldAgain is S11;
    s11_true_answers: Misreported is S11;
    l1_convergence: Withheld is L1;
    l1_sketches: Unsketched is L1;
    l2_islands_merge: SeedsForgotten is L2;
    l3_refutation: Unforgiven is L3;
    l4_no_starvation: SmallWaits is L4;
    l5_no_garbage: Unforgotten is L5;
    f1_completeness: Unconvicted is F1;
    f2_accuracy: Hasty is F2;
    f2_nobody_is_forgotten_who_is_believed_to_run: Silenced is F2;
    f3_a_local_pause: SleepUnnoticed is F3;
    f4_no_flapping: LoneAccuser is F4;
    f5_evidence: OldHeadsCount is F5;
    b1_memory: RecentUnbounded is B1;
    b1_bytes: BytesUncounted is B1;
    b2_size: Oversized is B2;
    b3_rate: Obstinate is B3;
    b3_rumors: Spendthrift is B3;
    b5_queues: ExchangesKept is B5;
}

/// Where there are more nodes than a node remembers: not all know each other, but nobody remembers more than it may.
#[test]
fn b1_nodes() {
    let few =
        Scenario::parse("name = \"few\"\nnodes = 6\nchaos = \"5s\"\nmax-nodes = 4\n").expect("a scenario");
    let broken = |few: &Scenario| run(few).broken.map(|broken| broken.promise);
    assert_eq!(broken(&few), Some(Promise::L2));
    let _planted = Planted::new(Flaw::NodesUncounted);
    assert_eq!(broken(&few), Some(Promise::B1));
}
