//! Reads the attribute and the function it stands on.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Error, Expr, FnArg, GenericArgument, Ident, ItemFn, Lit, LitInt, LitStr, Meta, Pat, PathArguments,
    RangeLimits, Result, ReturnType, Token, Type,
};

/// All that `emit` needs.
pub(crate) struct Signature {
    pub(crate) name: LitStr,
    pub(crate) kind: &'static str,
    pub(crate) version: u32,
    pub(crate) doc: String,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) tuple: bool,
    pub(crate) function: ItemFn,
}

pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) doc: String,
    pub(crate) ty: Type,
}

pub(crate) enum Argument {
    Context,
    Input {
        name: String,
        ty: Type,
        shape: Shape,
        doc: String,
    },
    Param {
        name: String,
        ty: Box<Type>,
        default: Option<String>,
        range: (Option<String>, Option<String>),
        manner: bool,
        doc: String,
    },
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    Required,
    Optional,
    Variadic,
}

struct Options {
    name: LitStr,
    kind: &'static str,
    version: u32,
    outputs: Vec<(String, String)>,
}

impl Parse for Options {
    fn parse(input: ParseStream) -> Result<Self> {
        let name: LitStr = input.parse()?;
        let text = name.value();
        let plain = |part: &str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
        };
        if text.split('/').count() != 2 || !text.split('/').all(plain) {
            return Err(Error::new(name.span(), "a node is named `family/name`, in lower case"));
        }
        let mut options = Self {
            name,
            kind: "step",
            version: 1,
            outputs: Vec::new(),
        };
        while input.peek(Token![,]) {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let key: Ident = input.parse()?;
            match key.to_string().as_str() {
                "lazy" => options.kind = "lazy",
                "effect" => options.kind = "effect",
                "version" => {
                    input.parse::<Token![=]>()?;
                    options.version = input.parse::<LitInt>()?.base10_parse()?;
                }
                "outputs" => {
                    let inner;
                    syn::parenthesized!(inner in input);
                    let ports = Punctuated::<Port, Token![,]>::parse_terminated(&inner)?;
                    options.outputs = ports.into_iter().map(|port| (port.0, port.1)).collect();
                }
                _ => {
                    return Err(Error::new(
                        key.span(),
                        "expected `lazy`, `effect`, `version = N` or `outputs(…)`",
                    ));
                }
            }
        }
        Ok(options)
    }
}

struct Port(String, String);

impl Parse for Port {
    fn parse(input: ParseStream) -> Result<Self> {
        let name: Ident = input.parse()?;
        let doc = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            input.parse::<LitStr>()?.value()
        } else {
            String::new()
        };
        Ok(Self(name.to_string(), doc))
    }
}

pub(crate) fn read(attribute: TokenStream, item: TokenStream) -> Result<Signature> {
    let options: Options = syn::parse2(attribute)?;
    let mut function: ItemFn = syn::parse2(item)?;
    let doc = docs(&function.attrs);
    if doc.is_empty() {
        return Err(Error::new(
            function.sig.ident.span(),
            "a node needs a doc comment: it is its help page",
        ));
    }
    let mut arguments = Vec::new();
    for argument in &mut function.sig.inputs {
        let FnArg::Typed(argument) = argument else {
            return Err(Error::new_spanned(argument, "a node is a free function"));
        };
        let attributes = std::mem::take(&mut argument.attrs);
        let Pat::Ident(name) = &*argument.pat else {
            return Err(Error::new_spanned(&argument.pat, "a node's arguments are plain names"));
        };
        arguments.push(read_argument(name.ident.to_string(), &argument.ty, &attributes)?);
    }
    let types = returned(&function.sig.output)?;
    let tuple = matches!(types, Returned::Tuple(_));
    let types = match types {
        Returned::One(ty) => vec![ty],
        Returned::Tuple(types) => types,
    };
    let mut names = options.outputs;
    if names.is_empty() && types.len() == 1 {
        names.push(("out".into(), String::new()));
    }
    if names.len() != types.len() {
        let message = format!(
            "the function returns {} values, `outputs(…)` names {}",
            types.len(),
            names.len()
        );
        return Err(Error::new_spanned(&function.sig.output, message));
    }
    let outputs = names
        .into_iter()
        .zip(types)
        .map(|((name, doc), ty)| Output { name, doc, ty })
        .collect();
    let Options {
        name, kind, version, ..
    } = options;
    Ok(Signature {
        name,
        kind,
        version,
        doc,
        arguments,
        outputs,
        tuple,
        function,
    })
}

fn read_argument(name: String, ty: &Type, attributes: &[Attribute]) -> Result<Argument> {
    let doc = docs(attributes).replace('\n', " ");
    if let Type::Reference(reference) = ty {
        return Ok(match last_segment(&reference.elem) {
            Some((ident, _)) if ident == "Context" => Argument::Context,
            _ => Argument::Input {
                name,
                ty: (*reference.elem).clone(),
                shape: Shape::Required,
                doc,
            },
        });
    }
    if let Some((ident, Some(Type::Reference(inner)))) = last_segment(ty) {
        let shape = match ident.as_str() {
            "Option" => Shape::Optional,
            "Vec" => Shape::Variadic,
            _ => {
                return Err(Error::new_spanned(ty, "an input is `&T`, `Option<&T>` or `Vec<&T>`"));
            }
        };
        return Ok(Argument::Input {
            name,
            ty: (*inner.elem).clone(),
            shape,
            doc,
        });
    }
    let optional = last_segment(ty).is_some_and(|(ident, _)| ident == "Option");
    let mut default = optional.then(|| "null".to_owned());
    let mut range = (None, None);
    let mut manner = false;
    for attribute in attributes {
        if attribute.path().is_ident("manner") {
            manner = true;
        } else if attribute.path().is_ident("default") {
            default = Some(json(&attribute.parse_args()?)?);
        } else if attribute.path().is_ident("range") {
            let Expr::Range(bounds) = attribute.parse_args()? else {
                return Err(Error::new_spanned(
                    attribute,
                    "expected #[range(1..=8)] or #[range(0..)]",
                ));
            };
            if bounds.end.is_some() && matches!(bounds.limits, RangeLimits::HalfOpen(_)) {
                return Err(Error::new_spanned(
                    attribute,
                    "the upper end belongs to the range: write `..=`",
                ));
            }
            range = (
                bounds.start.as_deref().map(json).transpose()?,
                bounds.end.as_deref().map(json).transpose()?,
            );
        } else if !attribute.path().is_ident("doc") {
            return Err(Error::new_spanned(
                attribute,
                "expected #[default(…)], #[range(…)] or #[manner]",
            ));
        }
    }
    Ok(Argument::Param {
        name,
        ty: Box::new(ty.clone()),
        default,
        range,
        manner,
        doc,
    })
}

/// A literal as JSON.
fn json(expression: &Expr) -> Result<String> {
    match expression {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Ok(quoted(&text.value())),
            Lit::Int(number) => Ok(number.base10_digits().to_owned()),
            Lit::Float(number) => Ok(number.base10_digits().to_owned()),
            Lit::Bool(flag) => Ok(flag.value.to_string()),
            other => Err(Error::new_spanned(other, "expected a text, a number or a flag")),
        },
        Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Neg(_)) => Ok(format!("-{}", json(&unary.expr)?)),
        Expr::Path(path) if path.path.is_ident("None") => Ok("null".into()),
        other => Err(Error::new_spanned(other, "expected a literal or None")),
    }
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    let lines: Vec<String> = lines
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned())
        .collect();
    lines.join("\n").trim().to_owned()
}

enum Returned {
    One(Type),
    Tuple(Vec<Type>),
}

fn returned(output: &ReturnType) -> Result<Returned> {
    let expected = "a node returns `Result<T>` or `Result<(A, B)>`";
    let ReturnType::Type(_, ty) = output else {
        return Err(Error::new(proc_macro2::Span::call_site(), expected));
    };
    match last_segment(ty) {
        Some((ident, Some(Type::Tuple(tuple)))) if ident == "Result" && !tuple.elems.is_empty() => {
            Ok(Returned::Tuple(tuple.elems.into_iter().collect()))
        }
        Some((ident, Some(ty))) if ident == "Result" => Ok(Returned::One(ty)),
        _ => Err(Error::new_spanned(output.to_token_stream(), expected)),
    }
}

/// The last segment of a path type with its first generic argument.
fn last_segment(ty: &Type) -> Option<(String, Option<Type>)> {
    let Type::Path(path) = ty else { return None };
    let segment = path.path.segments.last()?;
    let argument = match &segment.arguments {
        PathArguments::AngleBracketed(list) => list.args.iter().find_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty.clone()),
            _ => None,
        }),
        _ => None,
    };
    Some((segment.ident.to_string(), argument))
}
