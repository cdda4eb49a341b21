//! Draws the year: the mean delay by week and hour of the day, one panel per origin.

use std::collections::BTreeMap;
use std::path::Path;

use highwater::prelude::*;
use plotters::prelude::*;

use super::Row;

const WEEK_MS: i64 = 7 * 24 * 3_600_000;
const HOUR_MS: i64 = 3_600_000;

/// Departures and the sum of their delays, by week and hour of the day.
type Panel = BTreeMap<(i64, i64), (u64, f64)>;

/// Draws the rows into an SVG file.
pub(crate) fn draw(rows: &[Row], path: &Path) -> Result<()> {
    let mut panels: BTreeMap<&str, Panel> = BTreeMap::new();
    let start = rows.iter().map(|row| row.hour_start_ms).min().unwrap_or(0);
    for row in rows {
        let week = (row.hour_start_ms - start) / WEEK_MS;
        let hour = row.hour_start_ms.rem_euclid(24 * HOUR_MS) / HOUR_MS;
        let mean: f64 = row.mean_delay_min.parse().unwrap_or(0.0);
        let cell = panels.entry(&row.origin).or_default().entry((week, hour)).or_default();
        *cell = (cell.0 + row.departures, cell.1 + mean * row.departures as f64);
    }
    let failed = |cause: &dyn std::fmt::Display| {
        Error::program(format!("{}: the picture could not be drawn: {cause}", path.display()))
    };
    let root = SVGBackend::new(path, (960, 640)).into_drawing_area();
    root.fill(&WHITE).map_err(|cause| failed(&cause))?;
    let title =
        "Departure delays from New York, by week and hour (UTC): white on time, red an hour";
    let root = root.titled(title, ("sans-serif", 22)).map_err(|cause| failed(&cause))?;
    for (area, (origin, panel)) in root.split_evenly((panels.len().max(1), 1)).iter().zip(&panels) {
        draw_panel(area, origin, panel).map_err(|cause| failed(&cause))?;
    }
    root.present().map_err(|cause| failed(&cause))
}

type Drawing<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw_panel<'a>(
    area: &Drawing<'a>,
    origin: &str,
    panel: &Panel,
) -> std::result::Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let weeks = panel.keys().map(|(week, _)| *week).max().unwrap_or(0) + 1;
    let mut chart = ChartBuilder::on(area)
        .margin(6)
        .x_label_area_size(24)
        .y_label_area_size(70)
        .build_cartesian_2d(0..weeks, 0..24i64)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .y_labels(5)
        .y_desc(origin)
        .x_label_formatter(&|week| format!("week {}", week + 1))
        .draw()?;
    chart.draw_series(panel.iter().map(|((week, hour), (departures, delays))| {
        let mean = delays / (*departures).max(1) as f64;
        Rectangle::new([(*week, *hour), (week + 1, hour + 1)], shade(mean).filled())
    }))?;
    Ok(())
}

/// White for on time, through yellow, to red for an hour and more.
fn shade(mean_delay_min: f64) -> RGBColor {
    let part = (mean_delay_min / 60.0).clamp(0.0, 1.0);
    let fade = |from: f64, to: f64, part: f64| (from + (to - from) * part) as u8;
    match part {
        p if p < 0.25 => RGBColor(255, fade(250.0, 220.0, p * 4.0), fade(230.0, 120.0, p * 4.0)),
        p => {
            let p = (p - 0.25) / 0.75;
            RGBColor(fade(255.0, 170.0, p), fade(220.0, 10.0, p), fade(120.0, 30.0, p))
        }
    }
}
