//! `tidings demo`: a real cluster in one process, told step by step, with measured figures beside the theory.

use std::collections::BTreeSet;
use std::time::Duration;

use cpu_time::ProcessTime;
use tidings::{Event, EventKind, NodeState, Standing};
use tokio::time::{Instant, Interval, interval, sleep_until};

use crate::agent::{not_started, runtime};
use crate::cli::DemoArgs;
use crate::demo::stage::{Heard, Stage};
use crate::demo::teller::{Step, Teller};
use crate::failure::{Exit, Failure};
use crate::output::count;

mod stage;
mod teller;
mod theory;

/// Tells the story.
pub(crate) fn run(args: &DemoArgs) -> Result<(), Failure> {
    runtime()?.block_on(async {
        let limit = Duration::from_secs(args.seconds.into()).min(LONGEST);
        let mut story = Story::new(args, limit);
        let told = story.tell().await;
        // The steps so far are part of the answer, also where the story broke off.
        story.teller.end()?;
        told
    })
}

/// The story: what is on stage, who tells it, and until when.
struct Story {
    stage: Stage,
    teller: Teller,
    limit: Duration,
    deadline: Instant,
    redraw: Interval,
}

impl Story {
    fn new(args: &DemoArgs, limit: Duration) -> Self {
        let nodes = usize::from(args.nodes);
        let seed_number = args.seed_number.unwrap_or_else(stage::any_seed_number);
        Self {
            stage: Stage::new(nodes, theory::interval(limit), seed_number, args.loss),
            teller: Teller::new(args.print.output),
            limit,
            deadline: Instant::now() + limit,
            redraw: interval(REDRAW),
        }
    }

    async fn tell(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        self.teller.open(&format!(
            "{} in this process gossip over UDP on 127.0.0.1.\n\
             A round is {} ms. The seed number of their choices is {}.",
            count(self.stage.size(), "real node"),
            self.stage.interval().as_millis(),
            self.stage.seed_number(),
        ))?;
        if self.stage.loss() > 0.0 {
            self.teller.open(&format!(
                "Of all datagrams, a share of {} is lost at random. Theory reckons without that.",
                self.stage.loss()
            ))?;
        }
        self.gather().await?;
        self.spread().await?;
        self.kill().await?;
        self.restart().await?;
        self.rest().await?;
        let total = self.stage.total().await;
        self.teller.close(&format!(
            "All of it took {:.1} s, {} datagrams and {} bytes{}.\n\
             Now yours: `tidings agent --name api-1`, and elsewhere `tidings members`.",
            began.elapsed().as_secs_f64(),
            total.datagrams,
            total.bytes,
            if total.lost == 0 { String::new() } else { format!("; {} datagrams were lost", total.lost) },
        ))
    }

    /// All start, and get to know each other through the seed.
    async fn gather(&mut self) -> Result<(), Failure> {
        let seed = self.stage.names()[0].clone();
        self.act("start", &format!("The nodes start. All they know is the address of {seed}, the seed."))
            .await?;
        self.stage.start_all().await.map_err(|error| not_started(&error))?;
        let size = self.stage.size();
        self.until("not every node knew all the others", async |stage| {
            for name in stage.names() {
                if !stage.everywhere(name, |node| !node.entries.is_empty()).await {
                    return false;
                }
            }
            true
        })
        .await?;
        self.step("known", format!("every node knows {}, and a key of each", all(size))).await?;
        self.until(NOT_CONVERGED, Stage::converged).await?;
        self.step("converged", "converged: exchanges find nothing more to send".to_owned()).await
    }

    /// A write on one node reaches all.
    async fn spread(&mut self) -> Result<(), Failure> {
        let writer = self.stage.names()[self.stage.size() / 2].clone();
        let heading = format!("{writer} sets {GREETING} = hello. Each round, a node talks to one other.");
        self.act("write", &heading).await?;
        self.stage.set(&writer, GREETING, "hello").await.map_err(|error| not_started(&error))?;
        let others = self.all_but(&writer);
        self.each(others, "arrival", "did not hear of the write", |heard| {
            let EventKind::Set { key, value, .. } = &heard.event.kind else { return None };
            let ours = heard.event.node.as_str() == writer && key.as_str() == GREETING;
            (ours && value.as_str() == Some("hello")).then(|| format!("{} has it", heard.by))
        })
        .await?;
        let size = self.stage.size();
        let rounds = theory::spread_rounds(size);
        let step = Step::new("spread", format!("{} have it", all(size)));
        let why = "log3 n + log2 ln n (Karp et al., 2000)";
        self.tell_step(step.expect(rounds, why)).await
    }

    /// A node dies, the others notice, and its keys stay.
    async fn kill(&mut self) -> Result<(), Failure> {
        let victim = self.stage.last().to_owned();
        self.act("kill", &format!("{victim} is killed, without a word to anybody.")).await?;
        self.stage.kill(&victim).await;
        let others = self.all_but(&victim);
        let number = others.len();
        self.each(others, "convicted", "did not find it unreachable", |heard| match &heard.event {
            Event { node, kind: EventKind::Unreachable { phi, cause }, .. } if node.as_str() == victim => {
                Some(format!("{} convicts it: phi {phi:.1}, {cause}", heard.by))
            }
            _ => None,
        })
        .await?;
        let step =
            Step::new("unreachable", format!("{} it unreachable", all_others(number, "finds", "find")));
        let why = "the first after 1 round and a patience of 2";
        self.tell_step(step.expect(theory::CONVICTION_ROUNDS, why)).await?;

        let address = self.stage.service_address(&victim);
        let kept = |node: &NodeState| shows(node, stage::SERVICE, &address);
        if !self.stage.everywhere(&victim, kept).await {
            let what = format!("{} of {victim} is not readable everywhere", stage::SERVICE);
            return Err(self.not_reached(&what));
        }
        self.step("readable", format!("still read there: {} = {address}", stage::SERVICE)).await
    }

    /// It comes back, in a new life, and all agree again.
    async fn restart(&mut self) -> Result<(), Failure> {
        let name = self.stage.last().to_owned();
        self.act("restart", &format!("{name} starts again: the same name, another port, a new life."))
            .await?;
        let (old, new) = self.stage.restart(&name).await.map_err(|error| not_started(&error))?;
        self.stage.set(&name, GREETING, "back").await.map_err(|error| not_started(&error))?;
        self.each(self.all_but(&name), "restarted", "did not see it restart", |heard| {
            let ours = heard.event.node.as_str() == name && heard.event.generation == new;
            (ours && heard.event.kind == EventKind::Restarted)
                .then(|| format!("{} sees it restart", heard.by))
        })
        .await?;
        let number = self.stage.size() - 1;
        self.until("not every node found it live again, with its new write", async |stage| {
            let back = |node: &NodeState| {
                let live = node.member.standing == Standing::Live && node.member.generation == new;
                live && shows(node, GREETING, "back")
            };
            stage.everywhere(&name, back).await
        })
        .await?;
        let readers = all_others(number, "finds", "find");
        self.step("live", format!("{readers} it live, and {GREETING} = back")).await?;
        self.step("generation", format!("its generation is {new}, {} higher", new.0.saturating_sub(old.0)))
            .await?;
        self.until(NOT_CONVERGED, Stage::converged).await?;
        let digest = self.stage.digest().await.unwrap_or_default();
        self.step("converged", format!("converged: {} digests are {digest}", all(number + 1))).await
    }

    /// Nothing happens for some rounds, if there is time: what a cluster takes that has nothing to tell.
    async fn rest(&mut self) -> Result<(), Failure> {
        let [settled, end] = [SETTLING_ROUNDS, SETTLING_ROUNDS + RESTING_ROUNDS]
            .map(|rounds| Instant::now() + self.stage.interval() * rounds);
        if end > self.deadline {
            return Ok(());
        }
        self.act("rest", "Nothing happens, until all that was new is old.").await?;
        sleep_until(settled).await;
        self.stage.mark().await;
        let begun = ProcessTime::now();
        sleep_until(end).await;
        let processor = begun.elapsed();
        let figures = self.stage.figures(Instant::now(), Duration::ZERO).await;
        let each = |all: f64| all / figures.rounds / self.stage.size() as f64;
        let said = format!(
            "a node and round: {:.0} bytes, {:.0} µs of processor",
            each(figures.sent.bytes as f64),
            each(processor.as_secs_f64() * 1e6)
        );
        self.teller.step(Step::new("rested", said).measured(figures).took(processor))
    }

    /// Begins an act: what is measured from here on counts for it.
    async fn act(&mut self, step: &'static str, said: &str) -> Result<(), Failure> {
        self.stage.mark().await;
        self.teller.act(Step::new(step, said.to_owned()))
    }

    async fn step(&mut self, step: &'static str, said: String) -> Result<(), Failure> {
        self.tell_step(Step::new(step, said)).await
    }

    async fn tell_step(&mut self, step: Step) -> Result<(), Failure> {
        let figures = self.stage.figures(Instant::now(), Duration::ZERO).await;
        self.teller.step(step.measured(figures))
    }

    /// Waits until each of `waiting` told what `said` recognises, and tells each as it comes.
    async fn each(
        &mut self,
        mut waiting: BTreeSet<String>,
        step: &'static str,
        missing: &str,
        said: impl Fn(&Heard) -> Option<String>,
    ) -> Result<(), Failure> {
        let all = waiting.len();
        while !waiting.is_empty() {
            let Some(heard) = self.next().await? else {
                let names: Vec<_> = waiting.into_iter().collect();
                return Err(self.not_reached(&format!("{} {missing}", names.join(", "))));
            };
            let Some(said) = said(&heard) else { continue };
            if !waiting.remove(&heard.by) {
                continue;
            }
            let figures = self.stage.figures(heard.at, self.stage.interval()).await;
            let step = Step::new(step, said).of(&heard.by).measured(figures);
            self.teller.arrival(step, all - waiting.len(), all)?;
        }
        Ok(())
    }

    /// The next thing that a node told; `None` when the time is up.
    async fn next(&mut self) -> Result<Option<Heard>, Failure> {
        loop {
            tokio::select! {
                heard = self.stage.hear() => return Ok(heard),
                () = sleep_until(self.deadline) => return Ok(None),
                _ = self.redraw.tick() => self.teller.draw(&self.stage).await?,
            }
        }
    }

    /// Looks every half round until `holds`.
    async fn until(&mut self, missing: &str, holds: impl AsyncFn(&Stage) -> bool) -> Result<(), Failure> {
        let mut look = interval(self.stage.interval() / 2);
        loop {
            tokio::select! {
                _ = look.tick() => {
                    if holds(&self.stage).await {
                        return Ok(());
                    }
                }
                () = sleep_until(self.deadline) => return Err(self.not_reached(missing)),
                _ = self.redraw.tick() => self.teller.draw(&self.stage).await?,
            }
        }
    }

    fn all_but(&self, name: &str) -> BTreeSet<String> {
        self.stage.names().iter().filter(|other| *other != name).cloned().collect()
    }

    fn not_reached(&self, what: &str) -> Failure {
        let fact = format!("{what}, within {} s", self.limit.as_secs());
        Failure::new(
            Exit::Refused,
            fact,
            "run it again with fewer --nodes or more --seconds, or on a host less busy",
        )
    }
}

/// Whether a node's `key` shows `value`.
fn shows(node: &NodeState, key: &str, value: &str) -> bool {
    node.entries.get(key).and_then(|shown| shown.value.as_str()) == Some(value)
}

/// "all 5", or "both".
fn all(number: usize) -> String {
    if number == 2 { "both".to_owned() } else { format!("all {number}") }
}

/// "all 4 others find", or "the other one finds".
fn all_others(number: usize, finds: &str, find: &str) -> String {
    if number == 1 { format!("the other one {finds}") } else { format!("all {number} others {find}") }
}

/// The longest that a stranger watches.
const LONGEST: Duration = Duration::from_secs(30);

/// How often the live table is drawn: smooth for the eye, cheap for the nodes.
const REDRAW: Duration = Duration::from_millis(100);

/// For how many rounds after a change exchanges still tell that it was, among a hundred nodes.
const SETTLING_ROUNDS: u32 = 20;

/// For how many rounds a cluster is then watched in which nothing happens.
const RESTING_ROUNDS: u32 = 10;

const GREETING: &str = "greeting";

const NOT_CONVERGED: &str = "the nodes did not converge";

#[cfg(test)]
mod tests {
    use crate::cli::Print;
    use crate::output::Format;

    use super::*;

    #[tokio::test]
    async fn a_story_that_does_not_end_in_time_says_what_was_not_reached() {
        // Whatever it waits for first, the time is up; and no silence is noticed in no time.
        let args = DemoArgs {
            nodes: 2,
            seconds: 1,
            loss: 0.0,
            seed_number: Some(7),
            print: Print { output: Format::Json },
        };
        let mut story = Story::new(&args, Duration::ZERO);
        let Err(Failure::Told { exit, fact, .. }) = story.tell().await else { panic!("it ended in no time") };
        assert_eq!(exit, Exit::Refused);
        assert!(fact.ends_with(", within 0 s"), "{fact}");
    }
}
