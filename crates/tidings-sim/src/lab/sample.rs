//! Many measurements of one thing.

/// Measurements, sorted.
#[derive(Debug, Clone)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    /// Of these measurements.
    ///
    /// # Panics
    /// If there are none.
    pub(crate) fn new(measurements: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = measurements.into_iter().collect();
        assert!(!sorted.is_empty(), "something was measured");
        sorted.sort_by(f64::total_cmp);
        Self(sorted)
    }

    /// The mean.
    pub(crate) fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// What half of them do not exceed.
    pub(crate) fn median(&self) -> f64 {
        self.percentile(50)
    }

    /// What `percent` of them do not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_tells_mean_median_and_tail() {
        let sample = Sample::new((0..200).rev().map(f64::from));
        assert_eq!((sample.mean(), sample.median(), sample.percentile(99)), (99.5, 100.0, 198.0));
        assert_eq!(Sample::new([3.0]).percentile(99), 3.0);
    }
}
