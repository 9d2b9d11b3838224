//! Writes the node type that stands beside the function.

use crate::signature::{Argument, Shape, Signature, quoted};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

pub(crate) fn emit(signature: Signature) -> TokenStream {
    let parts = descriptor(&signature);
    let Signature {
        arguments,
        outputs,
        tuple,
        mut function,
        ..
    } = signature;
    // Private functions make nodes that the crate's `plugin!` can name, in whatever module it stands.
    let visibility = match &function.vis {
        syn::Visibility::Inherited => syn::parse_quote!(pub(crate)),
        stated => stated.clone(),
    };
    let call = &function.sig.ident;
    let node = format_ident!("{}", camel(&call.to_string()));
    let doc = format!("Node type of [`{call}`].");
    let values = arguments.iter().map(|argument| match argument {
        Argument::Context => quote!(context),
        Argument::Input { name, ty, shape, .. } => {
            let get = format_ident!("{}", match shape {
                Shape::Required => "required",
                Shape::Optional => "optional",
                Shape::Variadic => "all",
            });
            quote!(inputs.#get::<#ty>(#name)?)
        }
        Argument::Param { name, ty, .. } => quote!({
            let value = params.get(#name).unwrap_or(&::sdk::serde_json::Value::Null);
            <#ty as ::sdk::Param>::from_json(value).map_err(|e| e.context(::core::format_args!("parameter `{}`", #name)))?
        }),
    });
    let values: Vec<_> = values.collect();
    let names: Vec<_> = (0..outputs.len()).map(|i| format_ident!("out{i}")).collect();
    let pattern = if tuple {
        quote!((#(#names),*))
    } else {
        quote!(#(#names)*)
    };
    let types: Vec<_> = outputs.iter().map(|output| &output.ty).collect();
    let allow: syn::Attribute = syn::parse_quote!(#[allow(clippy::too_many_arguments, clippy::ptr_arg, reason = "arguments are ports and parameters")]);
    function.attrs.push(allow);
    quote! {
        #function

        #[doc = #doc]
        #visibility struct #node;

        impl ::sdk::NodeSpec for #node {
            const JSON: &'static str = {
                const PARTS: &[&str] = &[#(#parts),*];
                const BYTES: [u8; ::sdk::konst::len(PARTS)] = ::sdk::konst::join(PARTS);
                ::sdk::konst::text(&BYTES)
            };
            const OUTPUTS: &'static [&'static ::sdk::PortInfo] = &[#(&::sdk::PortInfo::of::<#types>()),*];
            fn make() -> ::std::boxed::Box<dyn ::sdk::Node> {
                ::std::boxed::Box::new(Self)
            }
        }

        impl ::sdk::Node for #node {
            #[allow(unused_variables, reason = "a node without ports or parameters")]
            fn run(&mut self, context: &::sdk::Context, inputs: &::sdk::Inputs, params: &::sdk::Params) -> ::sdk::Result<::sdk::Outputs> {
                let #pattern = #call(#(#values),*)?;
                ::core::result::Result::Ok(::std::vec![#(::sdk::Value::new(#names)),*])
            }
        }
    }
}

/// The descriptor's text in parts, some of which only the compiler knows (`T::NAME`).
fn descriptor(signature: &Signature) -> Vec<TokenStream> {
    let mut parts = Vec::new();
    let mut text = format!(
        "{{\"name\":{},\"version\":{},\"kind\":\"{}\",\"doc\":{},\"inputs\":[",
        quoted(&signature.name.value()),
        signature.version,
        signature.kind,
        quoted(&signature.doc)
    );
    let mut comma = "";
    for argument in &signature.arguments {
        if let Argument::Input { name, ty, shape, doc } = argument {
            text.push_str(&format!("{comma}{{\"name\":{},\"type\":\"", quoted(name)));
            parts.push(quote!(#text));
            parts.push(quote!(<#ty as ::sdk::Port>::NAME));
            let (optional, variadic) = (*shape == Shape::Optional, *shape == Shape::Variadic);
            text = format!(
                "\",\"optional\":{optional},\"variadic\":{variadic},\"doc\":{}}}",
                quoted(doc)
            );
            comma = ",";
        }
    }
    text.push_str("],\"outputs\":[");
    comma = "";
    for output in &signature.outputs {
        let ty = &output.ty;
        text.push_str(&format!("{comma}{{\"name\":{},\"type\":\"", quoted(&output.name)));
        parts.push(quote!(#text));
        parts.push(quote!(<#ty as ::sdk::Port>::NAME));
        text = format!("\",\"doc\":{}}}", quoted(&output.doc));
        comma = ",";
    }
    text.push_str("],\"params\":[");
    comma = "";
    for argument in &signature.arguments {
        if let Argument::Param {
            name,
            ty,
            default,
            range,
            manner,
            doc,
        } = argument
        {
            text.push_str(&format!("{comma}{{\"name\":{},", quoted(name)));
            parts.push(quote!(#text));
            parts.push(quote!(<#ty as ::sdk::Param>::SCHEMA));
            text = String::new();
            if range.0.is_none() && range.1.is_none() {
                parts.push(quote!(<#ty as ::sdk::Param>::BOUNDS));
            }
            parts.push(quote!(if <#ty as ::sdk::Param>::NULLABLE { ",\"nullable\":true" } else { "" }));
            for (key, value) in [("default", default), ("min", &range.0), ("max", &range.1)] {
                if let Some(value) = value {
                    text.push_str(&format!(",\"{key}\":{value}"));
                }
            }
            if *manner {
                text.push_str(",\"manner\":true");
            }
            text.push_str(&format!(",\"doc\":{}}}", quoted(doc)));
            comma = ",";
        }
    }
    text.push_str("]}");
    parts.push(quote!(#text));
    parts
}

fn camel(name: &str) -> String {
    let mut out = String::new();
    for word in name.split('_') {
        let mut chars = word.chars();
        out.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        out.extend(chars);
    }
    out
}
