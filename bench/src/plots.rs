//! What was measured, drawn as SVG.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::extras::thousands;
use crate::plan::CONTENDED;
use crate::ratio::{BARE, DISTLOCK};
use crate::report::{CurveReport, Line, Report, StoreReport};

/// A picture, and what its file is called.
pub(crate) struct Plot {
    pub(crate) file: String,
    pub(crate) svg: String,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const FONT: &str = "sans-serif";
const OURS: RGBColor = RGBColor(0x1f, 0x5f, 0xbf);
const FLOOR: RGBColor = RGBColor(0x8a, 0x8a, 0x8a);
const OTHERS: [RGBColor; 5] = [
    RGBColor(0xd9, 0x7b, 0x29),
    RGBColor(0x3f, 0x9b, 0x5a),
    RGBColor(0xb0, 0x4a, 0x9a),
    RGBColor(0xc0, 0x3c, 0x3c),
    RGBColor(0x7a, 0x6a, 0x2f),
];

/// A colour for each of them, the same for all pictures of a store.
fn colours<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(&'a str, RGBColor)> {
    let mut known: Vec<(&str, RGBColor)> = Vec::new();
    let mut others = OTHERS.into_iter().cycle();
    for who in lines {
        if known.iter().all(|(other, _)| *other != who) {
            let mut of_others = || others.next().unwrap_or(BLACK);
            let colour = match who {
                DISTLOCK => OURS,
                BARE => FLOOR,
                _ => of_others(),
            };
            known.push((who, colour));
        }
    }
    known
}

/// All pictures: two of all stores, and two of each.
pub(crate) fn of(report: &Report) -> Result<Vec<Plot>> {
    let mut plots = vec![
        contended(
            report,
            "changes",
            "Changes of owner a second, 16 clients, one name",
            rate_bar,
        )?,
        contended(
            report,
            "waits",
            "Waits for it in ms: half, 99 of 100, all",
            wait_bar,
        )?,
    ];
    for store in &report.stores {
        plots.push(rates(store)?);
        plots.push(curves(store)?);
    }
    Ok(plots)
}

/// What a bar shows.
struct Bar {
    label: String,
    colour: RGBColor,
    /// From where to where, and where its middle is.
    from: f64,
    middle: f64,
    to: f64,
    text: String,
    /// On which each step is ten times the one before.
    is_log: bool,
}

/// Its length is the median; a thin line goes from the least of the rounds to the most.
fn rate_bar(line: &Line, colour: RGBColor) -> Option<Bar> {
    let rate = line.figures?.per_second;
    Some(Bar {
        label: line.who.clone(),
        colour,
        from: rate.least,
        middle: rate.median,
        to: rate.most,
        text: thousands(rate.median),
        is_log: false,
    })
}

/// From the wait that half do not exceed to the longest, with a mark at 99 of 100.
fn wait_bar(line: &Line, colour: RGBColor) -> Option<Bar> {
    let wait = line.figures?.wait;
    let millis = |micros: f64| {
        let millis = micros / 1e3;
        if millis < 10.0 {
            format!("{millis:.2}")
        } else {
            thousands(millis)
        }
    };
    Some(Bar {
        label: line.who.clone(),
        colour,
        from: wait.p50,
        middle: wait.p99,
        to: wait.max,
        text: [wait.p50, wait.p99, wait.max].map(millis).join(" / "),
        is_log: true,
    })
}

/// A panel for each store, of what happens when all want one name.
fn contended(
    report: &Report,
    file: &str,
    title: &str,
    bar: fn(&Line, RGBColor) -> Option<Bar>,
) -> Result<Plot> {
    let panels = report.stores.iter().map(|store| {
        let colours = colours(store.table.iter().map(|line| &*line.who));
        (
            store.store.to_owned(),
            bars(&store.table, CONTENDED, &colours, bar),
        )
    });
    drawn_bars(
        file.to_owned(),
        title.to_owned(),
        &panels.collect::<Vec<_>>(),
    )
}

/// A panel for each workload of a store.
fn rates(store: &StoreReport) -> Result<Plot> {
    let mut workloads: Vec<_> = store.table.iter().map(|line| line.workload).collect();
    workloads.dedup();
    let colours = colours(store.table.iter().map(|line| &*line.who));
    let panels = workloads.into_iter().map(|workload| {
        (
            workload.to_owned(),
            bars(&store.table, workload, &colours, rate_bar),
        )
    });
    let title = format!(
        "{}: acquired a second; of one name, changes of owner",
        store.store
    );
    let file = format!("{}-rates", store.store);
    drawn_bars(file, title, &panels.collect::<Vec<_>>())
}

fn bars(
    table: &[Line],
    workload: &str,
    colours: &[(&str, RGBColor)],
    bar: fn(&Line, RGBColor) -> Option<Bar>,
) -> Vec<Bar> {
    let lines = table.iter().filter(|line| line.workload == workload);
    lines
        .filter_map(|line| {
            let colour = colours.iter().find(|(who, _)| *who == line.who);
            bar(line, colour.map_or(BLACK, |(_, colour)| *colour))
        })
        .collect()
}

/// Two panels beside each other, and as many below each other as it takes.
fn drawn_bars(file: String, title: String, panels: &[(String, Vec<Bar>)]) -> Result<Plot> {
    const WIDTH: u32 = 1120;
    const ROW: u32 = 22;
    let heights = panels.chunks(2).map(|pair| {
        let rows = pair.iter().map(|(_, bars)| bars.len()).max().unwrap_or(0);
        30 + ROW * u32::try_from(rows.max(1)).unwrap_or(ROW)
    });
    let heights: Vec<_> = heights.collect();
    let height = 40 + heights.iter().sum::<u32>();
    let svg = drawn((WIDTH, height), &title, |area| {
        let mut rest = area;
        for (pair, height) in panels.chunks(2).zip(&heights) {
            let (row, below) = rest.split_vertically(*height);
            let (left, right) = row.split_horizontally(WIDTH / 2);
            for ((name, bars), area) in pair.iter().zip([left, right]) {
                panel_of_bars(&area, name, bars)?;
            }
            rest = below;
        }
        Ok(())
    })?;
    Ok(Plot { file, svg })
}

fn panel_of_bars(area: &Area<'_>, name: &str, bars: &[Bar]) -> Result<()> {
    const LABELS: i32 = 225;
    const LENGTH: f64 = 220.0;
    const ROW: i32 = 22;
    let text = (FONT, 12).into_font().color(&BLACK);
    let heading = (FONT, 14).into_font().style(FontStyle::Bold).color(&BLACK);
    area.draw(&Text::new(name.to_owned(), (10, 6), heading))
        .map_err(broken)?;
    if bars.is_empty() {
        let why = "cannot be had".to_owned();
        area.draw(&Text::new(why, (10, 30), text)).map_err(broken)?;
        return Ok(());
    }
    let most = bars
        .iter()
        .map(|bar| bar.to.max(bar.middle))
        .fold(1e-9, f64::max);
    let least = bars
        .iter()
        .map(|bar| bar.from)
        .fold(most, f64::min)
        .max(1e-9);
    let at = |bar: &Bar, value: f64| {
        let share = match bar.is_log {
            true => (value.max(least) / least).ln() / (most / least).ln().max(1e-9),
            false => value / most,
        };
        // The picture has whole pixels, and the share is of one.
        LABELS + (share.clamp(0.0, 1.0) * LENGTH).round() as i32
    };
    for (row, bar) in (0..).zip(bars) {
        let top = 28 + row * ROW;
        let label = Text::new(bar.label.clone(), (10, top + 1), text.clone());
        area.draw(&label).map_err(broken)?;
        let (from, to) = (at(bar, bar.from), at(bar, bar.to));
        let middle = at(bar, bar.middle);
        let (begin, end) = if bar.is_log {
            (from, to.max(from + 2))
        } else {
            (LABELS, middle)
        };
        let whole = [(begin, top), (end, top + 14)];
        area.draw(&Rectangle::new(whole, bar.colour.mix(0.85).filled()))
            .map_err(broken)?;
        let thin = if bar.is_log {
            [(middle - 1, top), (middle + 1, top + 14)]
        } else {
            [(from, top + 6), (to, top + 8)]
        };
        area.draw(&Rectangle::new(thin, BLACK.filled()))
            .map_err(broken)?;
        let beside = (end.max(to) + 6, top + 1);
        area.draw(&Text::new(bar.text.clone(), beside, text.clone()))
            .map_err(broken)?;
    }
    Ok(())
}

/// A panel for each curve of a store, and below them whose line is whose.
fn curves(store: &StoreReport) -> Result<Plot> {
    const SIZE: (u32, u32) = (1120, 400);
    let title = format!("{}: as work grows", store.store);
    let colours = colours(store.table.iter().map(|line| &*line.who));
    let has_line = |who: &str| {
        store
            .curves
            .iter()
            .any(|curve| curve.lines.contains_key(who))
    };
    let svg = drawn(SIZE, &title, |area| {
        let (panels, legend) = area.split_vertically(SIZE.1 - 60);
        let panels = panels.split_evenly((1, store.curves.len().max(1)));
        for (curve, panel) in store.curves.iter().zip(&panels) {
            panel_of_curve(panel, curve, &colours)?;
        }
        let shown = colours.iter().filter(|(who, _)| has_line(who));
        for (column, (who, colour)) in (0..).zip(shown) {
            let left = 10 + column * 184;
            let mark = Rectangle::new([(left, 9), (left + 14, 13)], colour.filled());
            legend.draw(&mark).map_err(broken)?;
            let text = (FONT, 12).into_font().color(&BLACK);
            let who = (*who).to_owned();
            legend
                .draw(&Text::new(who, (left + 20, 4), text))
                .map_err(broken)?;
        }
        Ok(())
    })?;
    let file = format!("{}-curves", store.store);
    Ok(Plot { file, svg })
}

/// A line for each contestant. Both axes grow tenfold with each step.
fn panel_of_curve(
    area: &Area<'_>,
    curve: &CurveReport,
    colours: &[(&str, RGBColor)],
) -> Result<()> {
    let of = |who: &str| -> Vec<(f64, f64)> {
        let points = curve.lines.get(who).into_iter().flatten();
        let points = points.map(|point| (point.count as f64, point.figures));
        let points =
            points.filter_map(|(count, figures)| Some((count, figures?.per_second.median)));
        points.filter(|(_, rate)| *rate > 0.0).collect()
    };
    let all: Vec<_> = curve.lines.keys().flat_map(|who| of(who)).collect();
    let counts = powers_around(all.iter().map(|(count, _)| *count));
    let rates = powers_around(all.iter().map(|(_, rate)| *rate));
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}: {}", curve.of, curve.counts), (FONT, 12))
        .margin(8)
        .margin_right(24)
        .x_label_area_size(34)
        .y_label_area_size(58)
        .build_cartesian_2d(counts.log_scale(), rates.log_scale())
        .map_err(broken)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc(curve.of)
        .x_label_formatter(&power_of_ten)
        .y_label_formatter(&power_of_ten)
        .draw()
        .map_err(broken)?;
    for (who, colour) in colours {
        let style = colour.stroke_width(if *who == DISTLOCK { 3 } else { 2 });
        let line = LineSeries::new(of(who), style).point_size(3);
        chart.draw_series(line).map_err(broken)?;
    }
    Ok(())
}

/// From a power of ten to another.
fn powers_around(values: impl Iterator<Item = f64> + Clone) -> std::ops::Range<f64> {
    let (least, most) = (
        values.clone().fold(f64::MAX, f64::min),
        values.fold(1.0, f64::max),
    );
    let begin = 10_f64.powf(least.min(most).log10().floor());
    begin..10_f64.powf(most.log10().ceil()).max(begin * 10.0)
}

/// Numbers between them stand too close.
fn power_of_ten(number: &f64) -> String {
    let power = number.log10();
    let is_whole = (power - power.round()).abs() < 1e-6;
    if is_whole {
        thousands(*number)
    } else {
        String::new()
    }
}

/// On white, below its title.
fn drawn(
    size: (u32, u32),
    title: &str,
    draw: impl FnOnce(Area<'_>) -> Result<()>,
) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE).map_err(broken)?;
        let below = area.titled(title, (FONT, 18)).map_err(broken)?;
        draw(below)?;
        area.present().map_err(broken)?;
    }
    Ok(svg)
}

fn broken(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("a picture cannot be drawn: {error}")
}
