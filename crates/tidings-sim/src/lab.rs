//! The theory lab: what the literature on epidemics expects, beside what is measured here.
//!
//! Each [`Experiment`] gives [`Findings`]: rows of measured beside expected, and pictures of them. Most run small models of
//! one idea from one paper, up to a million nodes; some run the full protocol, and hold the models to it. What the
//! project claims of itself means something only because the same tools first reproduce what others published.
//!
//! All chance comes from one seed. Each run has a stream of its own, so results depend neither on the number of threads nor
//! on the machine: nothing that decides a course of events uses a platform's mathematics.
//!
//! ```
//! use tidings_sim::lab::{Experiment, Lab};
//!
//! let findings = Lab { runs: Some(3), ..Lab::default() }.run(Experiment::Rumors);
//! assert!(findings.rows.iter().all(|row| row.measured.is_finite()));
//! ```

mod experiment;
mod row;

mod scale;
mod spread;
mod theory;

mod mongering;
mod rumors;

mod flow;
mod overload;
mod scuttlebutt;
mod staleness;

mod digest;
mod sketch;

mod accrual;
mod detect;
mod detection;
mod membership;
mod muted;
mod pings;
mod swim;

mod heal;
mod join;

mod epidemic;
mod protocol;
mod timers;

mod chance;
mod crew;
mod sample;

mod book;
mod figure;
mod report;

pub use book::book;
pub use crew::{Lab, Progress};
pub use experiment::{Experiment, Text, Unknown};
pub use figure::{Axis, Figure, Marks, Series};
pub use report::report;
pub use row::{Findings, Param, Row};
pub use spread::Spread;
