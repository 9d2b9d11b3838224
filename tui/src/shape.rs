//! What a node looks like from outside: its ports, whatever is known of its type.

pub use canvas::Side;
use graph::{Catalog, Document, Link, Links};
use std::collections::HashSet;

/// A port of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Name in the file.
    pub name: String,
    /// Type of its values; empty when nobody knows.
    pub ty: String,
    /// Whether the node cannot run without it.
    pub required: bool,
    /// Whether it takes a list.
    pub variadic: bool,
}

/// The ports of a node, in the order in which they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// Left.
    pub inputs: Vec<Port>,
    /// Right.
    pub outputs: Vec<Port>,
}

impl Ports {
    /// The ports of one side.
    pub fn side(&self, side: Side) -> &[Port] {
        match side {
            Side::Input => &self.inputs,
            Side::Output => &self.outputs,
        }
    }

    /// The port of that name.
    pub fn find(&self, side: Side, name: &str) -> Option<(usize, &Port)> {
        self.side(side).iter().enumerate().find(|(_, port)| port.name == name)
    }
}

/// A wire, by the names of its ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wire {
    /// Node it leaves.
    pub from: String,
    /// Output it leaves.
    pub output: String,
    /// Node it enters.
    pub to: String,
    /// Input it enters.
    pub input: String,
    /// Place in the list of that input.
    pub nth: usize,
}

/// All wires of a graph, those into one port in the order of its list.
pub fn wires(document: &Document) -> Vec<Wire> {
    let mut wires = Vec::new();
    for (id, node) in document.nodes() {
        for (port, links) in &node.inputs {
            for (nth, link) in links.iter().enumerate() {
                if let Link::To { node, port: output } = link {
                    wires.push(Wire {
                        from: node.clone(),
                        output: output.clone(),
                        to: id.clone(),
                        input: port.clone(),
                        nth,
                    });
                }
            }
        }
    }
    wires
}

/// The ports of every node: those of its type, then those that only the graph speaks of.
pub fn ports(document: &Document, catalog: &Catalog, wires: &[Wire]) -> Vec<Ports> {
    let mut all: Vec<Ports> = Vec::with_capacity(document.nodes().len());
    for node in document.nodes().values() {
        let mut ports = Ports::default();
        if let Some(ty) = catalog.get(&node.ty.name) {
            ports.inputs = ty.inputs.iter().map(input).collect();
            ports.outputs = ty.outputs.iter().map(output).collect();
        }
        for (name, links) in &node.inputs {
            if ports.find(Side::Input, name).is_none() {
                ports.inputs.push(Port {
                    name: name.clone(),
                    ty: String::new(),
                    required: false,
                    variadic: matches!(links, Links::List(_)),
                });
            }
        }
        all.push(ports);
    }
    let mut seen = HashSet::new();
    for wire in wires {
        let Some(at) = document.nodes().get_index_of(&wire.from) else {
            continue;
        };
        if seen.insert((at, &wire.output)) && all[at].find(Side::Output, &wire.output).is_none() {
            all[at].outputs.push(Port {
                name: wire.output.clone(),
                ty: String::new(),
                required: false,
                variadic: false,
            });
        }
    }
    all
}

pub(crate) fn input(input: &graph::catalog::Input) -> Port {
    Port {
        name: input.name.clone(),
        ty: input.ty.clone(),
        required: !input.optional,
        variadic: input.variadic,
    }
}

pub(crate) fn output(output: &graph::catalog::Output) -> Port {
    Port {
        name: output.name.clone(),
        ty: output.ty.clone(),
        required: false,
        variadic: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_unknown_types_come_from_the_links() {
        let text =
            r#"{"paragraph":1,"nodes":{"a":{"type":"x/y"},"b":{"type":"x/z","inputs":{"in":["a.out","a.other"]}}}}"#;
        let document = graph::parse(text).0;
        let wires = wires(&document);
        let ports = ports(&document, &Catalog::default(), &wires);
        let names: Vec<_> = ports[0].outputs.iter().map(|port| port.name.as_str()).collect();
        assert_eq!(names, ["out", "other"]);
        assert!(ports[1].inputs[0].variadic);
        assert_eq!(wires[1].nth, 1);
    }
}
