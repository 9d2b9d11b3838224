//! The list of node types to add.

use crate::edit;
use crate::field;
use crate::layer::{Layer, Picker, Purpose, Row};
use crate::state::{State, Worker};
use graph::catalog::NodeType;

const NOTHING: &str = "no node type matches";

impl State {
    /// Node types to add: all, or those that could be fed by `after` or feed `before`.
    pub(super) fn open_add(&mut self, ty: &str, after: Vec<String>, before: Vec<String>) {
        if !ty.is_empty() {
            if self.catalog.get(ty).is_none() {
                let near = graph::nearest(ty, self.catalog.iter().map(|ty| ty.name.as_str()));
                let help = near.map(|near| format!(": did you mean {near}?")).unwrap_or_default();
                return self.bad(format!("no node type {ty}{help}"));
            }
            return self.add(ty, &after, &before);
        }
        if let (false, Worker::Gone { how }) = (self.knows_types, &self.worker) {
            return self.say(format!("the worker {how}; Space W starts another"));
        }
        let rows = self.add_rows(&after, &before);
        let title = match (after.as_slice(), before.as_slice()) {
            ([], []) => "add a node".to_owned(),
            (after, []) => format!("add after {}", after.join(", ")),
            (_, before) => format!("add before {}", before.join(", ")),
        };
        let mut picker = Picker::new(Purpose::Add { after, before }, title, rows);
        let empty = if self.knows_types {
            NOTHING
        } else {
            "the node types are on their way"
        };
        empty.clone_into(&mut picker.empty);
        self.push_list(picker);
    }

    /// Types that could be fed by `after` or feed `before`. They are listed by name.
    fn add_rows(&self, after: &[String], before: &[String]) -> Vec<Row> {
        let suits = |ty: &NodeType| {
            let fed = |id: &String| self.type_of(id).is_some_and(|source| edit::suits(ty, source, true));
            let feeds = |id: &String| self.type_of(id).is_some_and(|target| edit::suits(ty, target, false));
            (after.is_empty() || after.iter().any(fed)) && (before.is_empty() || before.iter().any(feeds))
        };
        let weigh = self.weigh(after, before);
        let rows = self.catalog.iter().filter(|ty| suits(ty));
        rows.map(|ty| Row {
            weight: weigh(ty),
            ..type_row(ty)
        })
        .collect()
    }

    /// How types are ordered that match what is typed equally well: first what gives something that is needed below, then what
    /// lacks the fewest inputs, then families that the graph uses, then large families.
    fn weigh(&self, after: &[String], before: &[String]) -> impl Fn(&NodeType) -> usize {
        let needed = |id: &String| {
            let (node, ty) = (self.document.node(id), self.type_of(id));
            let inputs = ty.into_iter().flat_map(|ty| &ty.inputs);
            inputs
                .filter(move |input| !input.optional && node.is_some_and(|node| !node.inputs.contains_key(&input.name)))
        };
        let needed: Vec<String> = before.iter().flat_map(needed).map(|input| input.ty.clone()).collect();
        let given = after
            .iter()
            .filter_map(|id| self.type_of(id))
            .flat_map(|ty| &ty.outputs);
        let given: Vec<String> = given.map(|output| output.ty.clone()).collect();
        let used: Vec<String> = self
            .document
            .nodes()
            .values()
            .map(|node| family(&node.ty.name).to_owned())
            .collect();
        let all: Vec<String> = self.catalog.iter().map(|ty| family(&ty.name).to_owned()).collect();
        move |ty| {
            let feeds = ty.outputs.iter().any(|output| needed.contains(&output.ty));
            let lacks = ty
                .inputs
                .iter()
                .filter(|input| !input.optional && !given.contains(&input.ty))
                .count();
            let count = |all: &[String]| all.iter().filter(|other| *other == family(&ty.name)).count().min(99);
            usize::from(feeds) * 1_000_000 + (99 - lacks.min(99)) * 10_000 + count(&used) * 100 + count(&all)
        }
    }

    /// Whether a list of node types is open that are still to come.
    pub(crate) fn awaits_types(&self) -> bool {
        let listed = |layer: &Layer| matches!(layer, Layer::List(list) if matches!(list.purpose, Purpose::Add { .. }));
        !self.knows_types && !matches!(self.worker, Worker::Gone { .. }) && self.layers.last().is_some_and(listed)
    }

    /// The worker told the node types: a list of them that is open has them now.
    pub(super) fn fill_add(&mut self) {
        let open = self
            .layers
            .iter()
            .rposition(|layer| matches!(layer, Layer::List(list) if matches!(list.purpose, Purpose::Add { .. })));
        let Some(Layer::List(list)) = open.and_then(|at| self.layers.get(at)) else {
            return;
        };
        let Purpose::Add { after, before } = list.purpose.clone() else {
            return;
        };
        let rows = self.add_rows(&after, &before);
        if let Some(Layer::List(list)) = open.and_then(|at| self.layers.get_mut(at)) {
            list.rows = rows;
            NOTHING.clone_into(&mut list.empty);
            list.filter();
        }
    }
}

/// `para` of `para/train`.
fn family(ty: &str) -> &str {
    ty.split_once('/').map_or(ty, |(family, _)| family)
}

/// A node type as a row, with its page.
pub(super) fn type_row(ty: &NodeType) -> Row {
    let mut page: Vec<String> = ty.doc.lines().map(str::to_owned).collect();
    let mut section = |title: &str, rows: Vec<String>| {
        if !rows.is_empty() {
            page.push(String::new());
            page.push(format!("# {title}"));
            page.extend(rows);
        }
    };
    let inputs = ty.inputs.iter().map(|input| {
        let more = match (input.optional, input.variadic) {
            (true, _) => " (optional)",
            (_, true) => " (several)",
            _ => "",
        };
        format!("{}: {}{more}  {}", input.name, input.ty, input.doc)
    });
    section("inputs", inputs.collect());
    let outputs = ty
        .outputs
        .iter()
        .map(|output| format!("{}: {}  {}", output.name, output.ty, output.doc));
    section("outputs", outputs.collect());
    let params = ty.params.iter().map(|param| {
        let default = match &param.default {
            Some(default) => format!(" = {}", field::shown(default)),
            None => " (needed)".to_owned(),
        };
        format!("{}{default}  {}", param.name, param.doc)
    });
    section("parameters", params.collect());
    let types = |names: Vec<&str>| {
        if names.is_empty() {
            "-".to_owned()
        } else {
            names.join(" ")
        }
    };
    Row {
        value: ty.name.clone(),
        label: ty.name.clone(),
        note: ty.doc.lines().next().unwrap_or_default().to_owned(),
        right: format!(
            "{} > {}",
            types(ty.inputs.iter().map(|port| port.ty.as_str()).collect()),
            types(ty.outputs.iter().map(|port| port.ty.as_str()).collect())
        ),
        page,
        weight: 0,
    }
}
