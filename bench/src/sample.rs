//! Many measurements of one thing.

/// Measurements, sorted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    /// Of these measurements.
    pub(crate) fn new(measurements: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = measurements.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Self(sorted)
    }

    /// What half of them do not exceed; `None` of none.
    pub(crate) fn median(&self) -> Option<f64> {
        self.percentile(50)
    }

    /// What `percent` of them do not exceed; `None` of none.
    pub(crate) fn percentile(&self, percent: usize) -> Option<f64> {
        let at = (self.0.len() * percent).div_ceil(100).max(1) - 1;
        self.0.get(at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_tells_its_middle_and_its_tail() {
        let sample = Sample::new((1..=200).rev().map(f64::from));
        assert_eq!((sample.median(), sample.percentile(99)), (Some(100.0), Some(198.0)));
        assert_eq!(Sample::new([3.0]).percentile(99), Some(3.0));
        assert_eq!(Sample::default().median(), None);
    }
}
