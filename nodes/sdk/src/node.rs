//! What a node is to the engine.

use crate::{Context, Error, Params, Port, PortInfo, Result, Value};

/// A node of the graph, made anew for every execution. `#[node]` writes this for a plain function.
pub trait Node: Send {
    /// Computes the outputs, in the declared order.
    ///
    /// # Errors
    /// Whatever keeps it from doing so, with a help line where one is known.
    fn run(&mut self, context: &Context, inputs: &Inputs, params: &Params) -> Result<Outputs>;
}

/// One value for each output port, in the declared order.
pub type Outputs = Vec<Value>;

/// The values linked to each input port, in the declared order of the ports.
#[derive(Default)]
pub struct Inputs {
    ports: Vec<(String, Vec<Value>)>,
}

impl Inputs {
    /// Adds the next port with its values.
    pub fn push(&mut self, port: impl Into<String>, values: Vec<Value>) {
        self.ports.push((port.into(), values));
    }

    fn port(&self, name: &str) -> &[Value] {
        self.ports
            .iter()
            .find(|(port, _)| port == name)
            .map_or(&[], |(_, values)| values)
    }

    /// The value of a required port.
    ///
    /// # Errors
    /// When nothing is linked or the type differs.
    pub fn required<T: Port>(&self, name: &str) -> Result<&T> {
        self.optional(name)?
            .ok_or_else(|| Error::msg(format!("nothing is linked to input `{name}`")))
    }

    /// The value of an optional port.
    ///
    /// # Errors
    /// When the type differs.
    pub fn optional<T: Port>(&self, name: &str) -> Result<Option<&T>> {
        let value = self.port(name).first().map(Value::get).transpose();
        value.map_err(|e| e.context(format_args!("input `{name}`")))
    }

    /// All values of a variadic port, in order.
    ///
    /// # Errors
    /// When a type differs.
    pub fn all<T: Port>(&self, name: &str) -> Result<Vec<&T>> {
        let values: Result<Vec<_>> = self.port(name).iter().map(Value::get).collect();
        values.map_err(|e| e.context(format_args!("input `{name}`")))
    }
}

/// What `#[node]` knows at compile time.
pub trait NodeSpec {
    /// The descriptor, as `graph::catalog::NodeType` reads it.
    const JSON: &'static str;
    /// The output ports' types, in order.
    const OUTPUTS: &'static [&'static PortInfo];
    /// A fresh node.
    fn make() -> Box<dyn Node>;
}

/// A node type as its plugin registers it.
pub struct NodeDef {
    /// [`NodeSpec::JSON`].
    pub json: &'static str,
    /// [`NodeSpec::OUTPUTS`].
    pub outputs: &'static [&'static PortInfo],
    /// [`NodeSpec::make`].
    pub make: fn() -> Box<dyn Node>,
}

impl NodeDef {
    /// The definition of `T`.
    pub const fn of<T: NodeSpec>() -> Self {
        Self {
            json: T::JSON,
            outputs: T::OUTPUTS,
            make: T::make,
        }
    }
}

/// Collects a plugin's nodes while it registers.
#[derive(Default)]
pub struct Registrar {
    /// What was registered.
    pub nodes: Vec<NodeDef>,
}
