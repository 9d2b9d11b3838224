//! The node attribute: turns a plain function into a node type with ports, parameters and a help page.

mod emit;
mod signature;

use proc_macro::TokenStream;

/// Makes a function a node.
///
/// `#[node("family/name")]`, with options after the name: `lazy` (outputs are models, kept in memory only),
/// `effect` (writes files the user asked for), `version = 2`, `outputs(model = "What it is", text, vae)`
/// (port names for the parts of the returned tuple; one output without a name is called `out`).
///
/// Arguments: `&Context`; `&T` is a required input, `Option<&T>` an optional one, `Vec<&T>` one that takes
/// several links; anything else is a parameter, with `#[default(…)]`, `#[range(1..=8)]` and `#[manner]` (it changes how the work is done,
/// never its result: no part of the step's key). Doc comments on
/// the function and on arguments become the help page.
#[proc_macro_attribute]
pub fn node(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let signature = match signature::read(attribute.into(), item.into()) {
        Ok(signature) => signature,
        Err(error) => return error.to_compile_error().into(),
    };
    emit::emit(signature).into()
}
