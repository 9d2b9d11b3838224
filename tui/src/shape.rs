//! What a node looks like from outside: its ports, whatever is known of its type.

pub use canvas::Side;
use graph::catalog::NodeType;
use graph::{Catalog, Document, Link, Links, Node};
use std::collections::HashMap;
use std::sync::Arc;

/// A port of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Name in the file.
    pub name: Arc<str>,
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
        self.side(side).iter().enumerate().find(|(_, port)| &*port.name == name)
    }
}

/// A wire, by the names of its ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wire<Name = Arc<str>> {
    /// Node it leaves.
    pub from: Name,
    /// Output it leaves.
    pub output: Name,
    /// Node it enters.
    pub to: Name,
    /// Input it enters.
    pub input: Name,
    /// Place in the list of that input.
    pub nth: usize,
}

impl Wire<&str> {
    /// With names of its own.
    pub fn owned(&self) -> Wire {
        Wire {
            from: self.from.into(),
            output: self.output.into(),
            to: self.to.into(),
            input: self.input.into(),
            nth: self.nth,
        }
    }
}

impl<Name: AsRef<str>> Wire<Name> {
    /// Whether it enters that input.
    pub fn enters(&self, node: &str, input: &str) -> bool {
        self.to.as_ref() == node && self.input.as_ref() == input
    }

    /// Whether it leaves that output.
    pub fn leaves(&self, node: &str, output: &str) -> bool {
        self.from.as_ref() == node && self.output.as_ref() == output
    }

    /// Whether it is at that node.
    pub fn touches(&self, node: &str) -> bool {
        self.to.as_ref() == node || self.from.as_ref() == node
    }
}

/// A wire of a graph, with the numbers of the nodes that it joins.
#[derive(Clone, Debug)]
pub struct Joined<'a> {
    /// The names.
    pub wire: Wire<&'a str>,
    /// The node it leaves, if that is among those that count.
    pub from: Option<usize>,
    /// The node it enters.
    pub to: Option<usize>,
}

/// All wires of a graph, those into one port in the order of its list.
pub fn wires(document: &Document) -> Vec<Joined<'_>> {
    wires_among(document, |id| document.nodes().get_index_of(id), Some)
}

/// As [`wires`], where only some nodes count: `index` gives the number of one by its name, `place` by its place in the graph.
pub fn wires_among(
    document: &Document,
    index: impl Fn(&str) -> Option<usize>,
    place: impl Fn(usize) -> Option<usize>,
) -> Vec<Joined<'_>> {
    let mut wires = Vec::new();
    for (at, (id, node)) in document.nodes().iter().enumerate() {
        let to = place(at);
        for (port, links) in &node.inputs {
            for (nth, link) in links.iter().enumerate() {
                let Link::To { node, port: output } = link else {
                    continue;
                };
                wires.push(Joined {
                    wire: Wire {
                        from: node.as_str(),
                        output: output.as_str(),
                        to: id.as_str(),
                        input: port.as_str(),
                        nth,
                    },
                    from: index(node),
                    to,
                });
            }
        }
    }
    wires
}

/// The ports of nodes: those of their types, then those that only the graph speaks of. Nodes share them where they can.
/// The numbers of the wires are those of the nodes.
pub fn ports<'a>(nodes: impl Iterator<Item = &'a Node>, catalog: &Catalog, wires: &[Joined<'_>]) -> Vec<Arc<Ports>> {
    let mut types: HashMap<&str, Arc<Ports>> = HashMap::new();
    let mut last: Option<(&str, Arc<Ports>)> = None;
    let mut all: Vec<Arc<Ports>> = Vec::with_capacity(nodes.size_hint().0);
    for node in nodes {
        let name = node.ty.name.as_str();
        // Many nodes of one type follow each other.
        let mut ports = match &last {
            Some((known, ports)) if *known == name => Arc::clone(ports),
            _ => {
                let ports = types.entry(name);
                Arc::clone(ports.or_insert_with(|| Arc::new(of_type(catalog.get(name)))))
            }
        };
        last = Some((name, Arc::clone(&ports)));
        for (name, links) in &node.inputs {
            if ports.find(Side::Input, name).is_none() {
                Arc::make_mut(&mut ports).inputs.push(Port {
                    name: name.as_str().into(),
                    ty: String::new(),
                    required: false,
                    variadic: matches!(links, Links::List(_)),
                });
            }
        }
        all.push(ports);
    }
    for Joined { wire, from, .. } in wires {
        if let Some(at) = *from
            && all[at].find(Side::Output, wire.output).is_none()
        {
            Arc::make_mut(&mut all[at]).outputs.push(Port {
                name: wire.output.into(),
                ty: String::new(),
                required: false,
                variadic: false,
            });
        }
    }
    all
}

fn of_type(ty: Option<&Arc<NodeType>>) -> Ports {
    ty.map_or_else(Ports::default, |ty| Ports {
        inputs: ty.inputs.iter().map(input).collect(),
        outputs: ty.outputs.iter().map(output).collect(),
    })
}

pub(crate) fn input(input: &graph::catalog::Input) -> Port {
    Port {
        name: input.name.as_str().into(),
        ty: input.ty.clone(),
        required: !input.optional,
        variadic: input.variadic,
    }
}

pub(crate) fn output(output: &graph::catalog::Output) -> Port {
    Port {
        name: output.name.as_str().into(),
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
        let ports = ports(document.nodes().values(), &Catalog::default(), &wires);
        let names: Vec<_> = ports[0].outputs.iter().map(|port| &*port.name).collect();
        assert_eq!(names, ["out", "other"]);
        assert!(ports[1].inputs[0].variadic);
        assert_eq!(wires[1].wire.nth, 1);
    }
}
