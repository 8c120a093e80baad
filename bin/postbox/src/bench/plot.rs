//! Curves over logarithmic axes, as SVG.

use plotters::prelude::*;
use std::error::Error;

/// Width and height.
const SIZE: (u32, u32) = (960, 480);

/// A plot: curves over common axes.
#[derive(Debug)]
pub struct Plot {
    /// What it shows.
    pub title: &'static str,
    /// The axis to the right.
    pub x: &'static str,
    /// The axis upwards.
    pub y: &'static str,
    /// At least one, each with at least one point; all coordinates are positive.
    pub curves: Vec<Curve>,
}

/// A curve.
#[derive(Debug)]
pub struct Curve {
    /// What it is of.
    pub name: String,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
}

/// The plot as an SVG element.
///
/// # Errors
///
/// What the backend refuses.
pub fn svg(plot: &Plot) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let (xs, ys) = (range(plot, |point| point.0), range(plot, |point| point.1));
        let mut chart = ChartBuilder::on(&root)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(90)
            .build_cartesian_2d((xs.0..xs.1).log_scale(), (ys.0..ys.1).log_scale())?;
        chart.configure_mesh().x_desc(plot.x).y_desc(plot.y).light_line_style(WHITE).draw()?;
        for (place, curve) in plot.curves.iter().enumerate() {
            let colour = Palette99::pick(place).to_rgba();
            let points = || curve.points.iter().copied();
            chart
                .draw_series(LineSeries::new(points(), colour.stroke_width(2)))?
                .label(curve.name.clone())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
            chart.draw_series(points().map(|point| Circle::new(point, 3, colour.filled())))?;
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()?;
        root.present()?;
    }
    Ok(svg)
}

/// From a little below the lowest to a little above the highest.
fn range(plot: &Plot, of: impl Fn(&(f64, f64)) -> f64) -> (f64, f64) {
    let all = plot.curves.iter().flat_map(|curve| &curve.points).map(of);
    let (low, high) =
        all.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    (low / 1.5, high * 1.5)
}
