//! Runs side by side: how they ended, what differs in their graphs, their losses and pictures.

use super::paint::{put, put_cut, wrap};
use crate::field::shown;
use crate::runs::Record;
use crate::state::State;
use crate::theme::Role;
use crate::update::compare_size;
use graph::Document;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub(super) fn draw(state: &State, runs: &[u64], area: Rect, buf: &mut Buffer) {
    let records: Vec<&Record> = runs
        .iter()
        .filter_map(|began| state.past.iter().find(|run| run.began == *began))
        .collect();
    if records.is_empty() || area.height < 6 {
        return;
    }
    let each = area.width / records.len() as u16;
    let graphs: Vec<Document> = records.iter().map(|run| graph::parse(&run.graph).0).collect();
    let theme = state.theme;
    for (nth, record) in records.iter().enumerate() {
        let column = Rect::new(area.x + nth as u16 * each, area.y, each.saturating_sub(2), area.height);
        put_cut(
            buf,
            column.x,
            column.y,
            column.width,
            &super::runs::day(record.began, state.offset),
            theme.style(Role::Title),
            state.glyphs,
        );
        put_cut(
            buf,
            column.x,
            column.y + 1,
            column.width,
            &record.words(),
            theme.style(Role::Text),
            state.glyphs,
        );
        let (_, tall) = compare_size(each, area.height + 2);
        let picture = Rect::new(
            column.x,
            column.y + 2,
            column.width,
            tall.min(column.height.saturating_sub(4)),
        );
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
        let mut y = picture.bottom();
        let bottom = column.bottom();
        for line in differences(&graphs, nth)
            .iter()
            .flat_map(|line| wrap(line, usize::from(column.width)))
        {
            if y + 4 >= bottom {
                break;
            }
            put(buf, column.x, y, column.width, &line, theme.style(Role::Changed));
            y += 1;
        }
        let lines: Vec<(&[(u64, f64)], ratatui::style::Style)> = record
            .series
            .values()
            .enumerate()
            .map(|(nth, series)| (series.whole.as_slice(), super::loss::style(theme, nth)))
            .collect();
        for (nth, (name, series)) in record.series.iter().enumerate() {
            if let Some(last) = series.last()
                && y + 3 < bottom
            {
                let text = format!("{name} {last:.4}");
                put_cut(
                    buf,
                    column.x,
                    y,
                    column.width,
                    &text,
                    super::loss::style(theme, nth),
                    state.glyphs,
                );
                y += 1;
            }
        }
        let rest = Rect::new(column.x, y, column.width, bottom.saturating_sub(y));
        super::loss::plot(&lines, rest, theme, state.glyphs, buf);
    }
}

/// The parameters of one graph that are other than in the first (in the first: than in any).
fn differences(graphs: &[Document], nth: usize) -> Vec<String> {
    let mut found = Vec::new();
    for (id, node) in graphs[nth].nodes() {
        let others = || {
            graphs
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != nth)
                .filter(|(other, _)| nth == 0 || *other == 0)
        };
        if others().any(|(_, other)| other.node(id).is_none()) {
            found.push(format!("node {id}"));
            continue;
        }
        for (name, value) in &node.params {
            let differs =
                others().any(|(_, other)| other.node(id).and_then(|node| node.params.get(name)) != Some(value));
            if differs {
                found.push(format!("{id}.{name} {}", shown(value)));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        let graph = |rank: u32| {
            let text =
                format!(r#"{{"paragraph":1,"nodes":{{"a":{{"type":"t","params":{{"rank":{rank},"seed":1}}}}}}}}"#);
            graph::parse(&text).0
        };
        let graphs = [graph(1), graph(4)];
        assert_eq!(differences(&graphs, 0), ["a.rank 1"]);
        assert_eq!(differences(&graphs, 1), ["a.rank 4"]);
    }
}
