//! Pictures of results, as SVG.

use plotters::prelude::*;

use crate::lab::row::figure;

/// A picture: series of points over two axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What it shows.
    pub title: String,
    /// To the right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// What is drawn. A figure has at least one series, and each at least one point.
    pub series: Vec<Series>,
}

/// One direction of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// What it counts, and in which unit.
    pub name: String,
    /// Whether each step is ten times the last.
    pub is_log: bool,
}

/// Points that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What they are.
    pub name: String,
    /// Which of the colours they have: what is measured has that of what is expected.
    pub colour: usize,
    /// How they are drawn.
    pub marks: Marks,
    /// Where they are.
    pub points: Vec<(f64, f64)>,
}

/// How points are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// Joined by a line.
    Line,
    /// Each for itself.
    Points,
}

/// How large pictures are, in pixels.
const SIZE: (u32, u32) = (760, 460);

/// What text and axes are drawn in: it can be read on white and on black.
const INK: RGBColor = RGBColor(0x80, 0x80, 0x80);

/// Colours that can be told apart on white and on black (after Okabe and Ito 2008).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x00, 0x8c, 0xd0),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xc0, 0x90, 0x00),
    RGBColor(0x7a, 0x6f, 0xd0),
];

impl Axis {
    /// An axis of even steps.
    #[must_use]
    pub fn linear(name: &str) -> Self {
        Self { name: name.to_owned(), is_log: false }
    }

    /// An axis on which each step is ten times the last.
    #[must_use]
    pub fn log(name: &str) -> Self {
        Self { name: name.to_owned(), is_log: true }
    }

    /// Where a number is on it.
    fn place(&self, number: f64) -> f64 {
        if self.is_log { number.log10() } else { number }
    }

    /// What stands at a place of it.
    fn label(&self, place: f64) -> String {
        if !self.is_log {
            let text = figure(place);
            let is_fraction = text.contains('.') && !text.contains('e');
            return if is_fraction {
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            } else {
                text
            };
        }
        // Between powers of ten there is nothing to say.
        if (place - place.round()).abs() > 1e-6 {
            return String::new();
        }
        let power = place.round();
        if (0.0..=3.0).contains(&power) { format!("{}", 10_f64.powf(power)) } else { format!("10^{power}") }
    }

    /// From where to where it goes, to show all `places`.
    fn span(&self, places: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
        let (mut least, mut most) = places.fold((f64::MAX, f64::MIN), |(l, m), p| (l.min(p), m.max(p)));
        if !self.is_log {
            least = least.min(0.0);
        }
        if most - least < 1e-9 {
            most = least + 1.0;
        }
        let margin = (most - least) * 0.04;
        least - if self.is_log { margin } else { 0.0 }..most + margin
    }
}

impl Series {
    /// Points in the colour of that number.
    #[must_use]
    pub fn new(name: impl Into<String>, colour: usize, marks: Marks, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), colour, marks, points }
    }
}

impl Figure {
    /// Draws it, as an SVG document without a background.
    ///
    /// # Panics
    /// If there is nothing to draw.
    #[must_use]
    pub fn svg(&self) -> String {
        let mut svg = String::new();
        self.draw(&SVGBackend::with_string(&mut svg, SIZE).into_drawing_area())
            .expect("drawing into a string succeeds");
        svg
    }

    fn draw<'a>(
        &self,
        area: &DrawingArea<SVGBackend<'a>, plotters::coord::Shift>,
    ) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>> {
        let place = |&(x, y): &(f64, f64)| (self.x.place(x), self.y.place(y));
        let shown = |point: &(f64, f64)| point.0.is_finite() && point.1.is_finite();
        let all = || self.series.iter().flat_map(|series| &series.points).map(place).filter(shown);
        let text = |size: u32| TextStyle::from(("sans-serif", size).into_font()).color(&INK);
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, text(17))
            .margin(10)
            .x_label_area_size(42)
            .y_label_area_size(58)
            .build_cartesian_2d(
                self.x.span(all().map(|point| point.0)),
                self.y.span(all().map(|point| point.1)),
            )?;
        chart
            .configure_mesh()
            .x_desc(&self.x.name)
            .y_desc(&self.y.name)
            .x_label_formatter(&|&place| self.x.label(place))
            .y_label_formatter(&|&place| self.y.label(place))
            .axis_style(INK)
            .bold_line_style(INK.mix(0.25))
            .light_line_style(TRANSPARENT)
            .label_style(text(13))
            .axis_desc_style(text(14))
            .draw()?;
        for series in &self.series {
            let colour = COLOURS[series.colour % COLOURS.len()];
            let points: Vec<_> = series.points.iter().map(place).filter(shown).collect();
            let drawn = match series.marks {
                Marks::Line => chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?,
                Marks::Points => chart
                    .draw_series(points.into_iter().map(|point| Circle::new(point, 4, colour.filled())))?,
            };
            let marks = series.marks;
            drawn.label(&series.name).legend(move |(x, y)| match marks {
                Marks::Line => PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)).into_dyn(),
                Marks::Points => Circle::new((x + 8, y), 4, colour.filled()).into_dyn(),
            });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .label_font(text(13))
            .border_style(INK.mix(0.25))
            .draw()?;
        area.present()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_a_picture_that_needs_nothing_else() {
        let figure = Figure {
            title: "Rounds & nodes".to_owned(),
            x: Axis::log("nodes"),
            y: Axis::linear("rounds"),
            series: vec![
                Series::new("expected", 0, Marks::Line, vec![(100.0, 6.5), (1e6, 16.3)]),
                Series::new("measured", 0, Marks::Points, vec![(100.0, 6.6), (1e6, 16.4), (1e4, f64::NAN)]),
            ],
        };
        let svg = figure.svg();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 2 + 1, "two points, one in the legend");
        assert!(svg.contains("Rounds &amp; nodes") && svg.contains("10^6"), "{svg}");
        assert!(!svg.contains("href") && !svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn numbers_on_axes_are_short() {
        let (linear, log) = (Axis::linear("x"), Axis::log("x"));
        assert_eq!([0.0, 0.5, 10.0, 5_000.0].map(|place| linear.label(place)), ["0", "0.5", "10", "5000"]);
        assert_eq!(
            [0.0, 2.0, 2.5, 5.0, -4.0].map(|place| log.label(place)),
            ["1", "100", "", "10^5", "10^-4"]
        );
    }
}
