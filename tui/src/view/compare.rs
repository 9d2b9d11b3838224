//! Runs side by side: how they ended, their pictures, what differs in their graphs; their losses in one chart.

use super::curve::{Curve, legend, plot};
use super::paint::{put, put_cut, wrap};
use crate::field::shown;
use crate::runs::Record;
use crate::state::State;
use crate::theme::Role;
use crate::update::compare_size;
use graph::{Document, Node};
use indexmap::IndexSet;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Rows that the losses have at least.
const CHART: u16 = 6;

/// Columns of a chart at least.
const WIDE: u16 = 36;

pub(super) fn draw(state: &State, runs: &[u64], area: Rect, buf: &mut Buffer) {
    let find = |began: &u64| state.past.iter().find(|run| run.began == *began);
    let records: Vec<&Record> = runs.iter().filter_map(find).collect();
    if records.is_empty() || area.height < 6 {
        return;
    }
    let theme = state.theme;
    let each = area.width / records.len() as u16;
    let (_, tall) = compare_size(each, area.height);
    let has_pictures = records.iter().any(|run| run.pictures().next().is_some());
    let tall = if has_pictures { tall } else { 1 };
    let has_losses = records.iter().any(|run| !run.series.is_empty());
    let chart = if has_losses { CHART } else { 0 };
    let graphs: Vec<Document> = records.iter().map(|run| graph::parse(&run.graph).0).collect();
    let mut below = area.y;
    for (nth, record) in records.iter().enumerate() {
        let column = Rect::new(area.x + nth as u16 * each, area.y, each.saturating_sub(2), area.height);
        let mut line = |y: u16, text: &str, role: Role| {
            put_cut(buf, column.x, y, column.width, text, theme.style(role), state.glyphs);
        };
        line(column.y, &super::runs::day(record.began, state.offset), Role::Title);
        line(column.y + 1, &record.words(), Role::Text);
        let picture = Rect {
            y: column.y + 2,
            height: tall,
            ..column
        };
        let bottom = column.bottom().saturating_sub(chart);
        let lines: Vec<String> = differences(&graphs, nth)
            .iter()
            .flat_map(|line| wrap(line, usize::from(column.width)))
            .collect();
        let room = usize::from(bottom.saturating_sub(picture.bottom()));
        let shown = if lines.len() > room {
            room.saturating_sub(1)
        } else {
            lines.len()
        };
        let mut y = picture.bottom();
        for text in &lines[..shown] {
            line(y, text, Role::Changed);
            y += 1;
        }
        if shown < lines.len() && y < bottom {
            line(y, &format!("{} more lines differ", lines.len() - shown), Role::Dim);
            y += 1;
        }
        below = below.max(y);
        match state.last_picture(record) {
            Some(key) => super::preview::picture(state, key, picture, buf),
            None => drop(put(
                buf,
                picture.x,
                picture.y,
                picture.width,
                "no picture",
                theme.style(Role::Dim),
            )),
        }
    }
    let rest = Rect {
        y: below,
        height: area.bottom().saturating_sub(below),
        ..area
    };
    losses(state, &records, rest, buf);
}

/// For each number a chart with a line for each run, on the same axes.
fn losses(state: &State, records: &[&Record], area: Rect, buf: &mut Buffer) {
    let names: IndexSet<&String> = records.iter().flat_map(|run| run.series.keys()).collect();
    if names.is_empty() || area.height < 3 {
        return;
    }
    let count = names.len().min(usize::from(area.width / WIDE).max(1));
    let each = area.width / count as u16;
    for (nth, name) in names.iter().take(count).enumerate() {
        let place = Rect::new(area.x + nth as u16 * each, area.y, each.saturating_sub(1), area.height);
        let curves: Vec<Curve<'_>> = records
            .iter()
            .enumerate()
            .filter_map(|(nth, run)| {
                let time: String = super::runs::day(run.began, state.offset).chars().skip(6).collect();
                Some(Curve::of(nth, time, run.series.get(*name)?))
            })
            .collect();
        let mut title = (*name).clone();
        if nth + 1 == count && names.len() > count {
            title = format!("{title} (and {} more)", names.len() - count);
        }
        put_cut(
            buf,
            place.x,
            place.y,
            place.width,
            &title,
            state.theme.style(Role::Title),
            state.glyphs,
        );
        let row = |down: u16, height: u16| Rect {
            y: place.y + down,
            height,
            ..place
        };
        legend(&curves, row(1, 1), state, buf);
        plot(&curves, row(2, place.height - 2), state, buf);
    }
}

/// What is otherwise in a graph than in the first (in the first: than in any): nodes, types, links, parameters.
fn differences(graphs: &[Document], nth: usize) -> Vec<String> {
    let others: Vec<&Document> = if nth == 0 {
        graphs.iter().skip(1).collect()
    } else {
        graphs.iter().take(1).collect()
    };
    let mut found = Vec::new();
    for (id, node) in graphs[nth].nodes() {
        let there: Vec<&Node> = others.iter().filter_map(|other| other.node(id)).collect();
        if there.len() < others.len() {
            found.push(format!("node {id}"));
            continue;
        }
        if there.iter().any(|other| other.ty != node.ty) {
            found.push(format!("{id} is {}", node.ty));
        }
        let ports: IndexSet<&String> = there
            .iter()
            .chain([&node])
            .flat_map(|node| node.inputs.keys())
            .collect();
        for port in ports {
            let here = node.inputs.get(port);
            if there.iter().any(|other| other.inputs.get(port) != here) {
                let links: Vec<String> = here
                    .iter()
                    .flat_map(|links| links.iter())
                    .map(|link| shown(&link.to_json()))
                    .collect();
                let links = if links.is_empty() {
                    "nothing".to_owned()
                } else {
                    links.join(", ")
                };
                found.push(format!("{id}.{port} < {links}"));
            }
        }
        let params: IndexSet<&String> = there
            .iter()
            .chain([&node])
            .flat_map(|node| node.params.keys())
            .collect();
        for param in params {
            let here = node.params.get(param);
            if there.iter().any(|other| other.params.get(param) != here) {
                let value = here.map_or_else(|| "as by default".to_owned(), shown);
                found.push(format!("{id}.{param} {value}"));
            }
        }
        if there
            .iter()
            .any(|other| (other.bypass, &other.frozen) != (node.bypass, &node.frozen))
        {
            let how = match (node.bypass, &node.frozen) {
                (true, _) => "bypassed",
                (_, Some(_)) => "frozen",
                _ => "runs",
            };
            found.push(format!("{id} {how}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(nodes: &str) -> Document {
        graph::parse(&format!(r#"{{"paragraph":1,"nodes":{{{nodes}}}}}"#)).0
    }

    #[test]
    fn only_what_differs_is_told() {
        let graphs = [
            graph(r#""a":{"type":"t","params":{"rank":1,"seed":1}},"b":{"type":"t","inputs":{"x":"a.y"}}"#),
            graph(r#""a":{"type":"t","params":{"rank":4,"seed":1,"lr":0.1}},"b":{"type":"u"},"c":{"type":"t"}"#),
        ];
        assert_eq!(
            differences(&graphs, 0),
            ["a.rank 1", "a.lr as by default", "b is t", "b.x < a.y"]
        );
        let second = ["a.rank 4", "a.lr 0.1", "b is u", "b.x < nothing", "node c"];
        assert_eq!(differences(&graphs, 1), second);
        assert!(differences(&[graphs[0].clone(), graphs[0].clone()], 1).is_empty());
    }
}
