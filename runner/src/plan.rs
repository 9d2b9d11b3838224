//! What a run would do, before it does it.

use crate::key;
use crate::resolve::{State, Steps};
use graph::catalog::NodeKind;

/// What will happen to one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forecast {
    /// Its results are in the store.
    Hit,
    /// It is frozen; whether its result is older than its inputs, as far as that can be told.
    Frozen(bool),
    /// It is frozen, and its result is not in the store: …
    Lost(String),
    /// It will execute, because …
    Miss(String),
    /// Whether it executes depends on what this node upstream of it gives.
    DependsOn(String),
    /// A model that a step needs; it will be loaded, not executed.
    Load,
    /// A model that no step needs.
    NotNeeded,
}

/// One node of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its id in the graph.
    pub node: String,
    /// Its type.
    pub ty: String,
    /// What will happen.
    pub forecast: Forecast,
    /// The key of its result, when that is in the store.
    pub key: Option<String>,
}

/// Looks every step up, in the order in which they would run.
pub fn plan(steps: &Steps<'_>) -> Vec<Line> {
    let checked = steps.checked;
    let count = checked.nodes.len();
    let mut contents: Vec<Option<Vec<String>>> = vec![None; count];
    let mut forecasts: Vec<Option<Forecast>> = vec![None; count];
    let mut keys: Vec<Option<String>> = vec![None; count];
    // Of a node whose content is not known yet: the node that will decide it.
    let mut decided_by: Vec<usize> = (0..count).collect();
    for &index in checked.order.iter().filter(|&&index| steps.wanted[index]) {
        let key = steps.key(index, |node, output| {
            contents[node].as_ref()?.get(output).map(String::as_str)
        });
        let lazy = steps.kind(index) == NodeKind::Lazy;
        if let Some(frozen) = &checked.nodes[index].frozen {
            forecasts[index] = Some(match steps.frozen(index, frozen) {
                Ok(record) => {
                    contents[index] = Some(record.outputs.into_iter().map(|output| output.content).collect());
                    Forecast::Frozen(key.is_some_and(|key| key != *frozen))
                }
                Err(why) => Forecast::Lost(why),
            });
            keys[index] = Some(frozen.clone());
            continue;
        }
        keys[index].clone_from(&key);
        let forecast = match key {
            None => {
                let links = checked.nodes[index].inputs.iter().flat_map(|input| &input.links);
                let open = links.map(|link| link.node).find(|&node| contents[node].is_none());
                decided_by[index] = open.map_or(index, |node| decided_by[node]);
                Forecast::DependsOn(checked.nodes[decided_by[index]].id.clone())
            }
            Some(key) => {
                let ports = || checked.nodes[index].ty.outputs.iter();
                match steps.look_up(index, &key) {
                    State::Hit(record) => {
                        contents[index] = Some(record.outputs.into_iter().map(|output| output.content).collect());
                        Forecast::Hit
                    }
                    State::Miss(why) if lazy => {
                        contents[index] = Some(ports().map(|port| key::memory_output(&key, &port.name)).collect());
                        Forecast::Miss(why)
                    }
                    State::Miss(why) => Forecast::Miss(why),
                }
            }
        };
        forecasts[index] = Some(forecast);
    }
    settle_models(steps, &mut forecasts);
    let line = |&index: &usize| {
        let node = &checked.nodes[index];
        let forecast = forecasts[index].clone()?;
        Some(Line {
            node: node.id.clone(),
            ty: node.ty.name.clone(),
            key: keys[index]
                .clone()
                .filter(|_| matches!(forecast, Forecast::Hit | Forecast::Frozen(_))),
            forecast,
        })
    };
    checked.order.iter().filter_map(line).collect()
}

/// A model is loaded when somebody who executes needs it, or when it was never tried before.
fn settle_models(steps: &Steps<'_>, forecasts: &mut [Option<Forecast>]) {
    let checked = steps.checked;
    let mut needed = vec![false; checked.nodes.len()];
    for &index in checked.order.iter().rev() {
        let Some(forecast) = &mut forecasts[index] else {
            continue;
        };
        let lazy = steps.kind(index) == NodeKind::Lazy;
        if lazy {
            *forecast = match forecast {
                Forecast::Hit if !needed[index] => Forecast::NotNeeded,
                Forecast::DependsOn(node) => Forecast::DependsOn(node.clone()),
                _ => Forecast::Load,
            };
        }
        let stored = matches!(
            forecast,
            Forecast::Hit | Forecast::NotNeeded | Forecast::Frozen(_) | Forecast::Lost(_)
        );
        if !stored {
            for link in checked.nodes[index].inputs.iter().flat_map(|input| &input.links) {
                needed[link.node] = true;
            }
        }
    }
}
