//! Typed values on the links of a graph.

use crate::{Error, Result};
use candle_core::{Tensor, TensorId};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// A type that may travel along a link.
pub trait Port: Any + Send + Sync + Sized {
    /// The port type's name in descriptors and messages.
    const NAME: &'static str;

    /// The value as bytes for the store; `None` for what lives in memory only (models).
    /// The same value must always give the same bytes: their hash is the value's identity.
    ///
    /// # Errors
    /// When the value cannot be written.
    fn encode(&self) -> Result<Option<Vec<u8>>>;

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When the bytes are damaged or of another type.
    fn decode(bytes: &[u8]) -> Result<Self>;

    /// About how many bytes of memory the value holds now, beside [`tensors`](Self::tensors).
    fn size(&self) -> usize {
        size_of::<Self>()
    }

    /// Lets go of memory that the value can fill again by itself; asked for when room is needed and no node is using it.
    fn shed(&self) {}

    /// The tensors it holds. Those that several values share (a model and the same model with an adapter) are counted
    /// once.
    fn tensors(&self) -> Vec<&Tensor> {
        Vec::new()
    }
}

/// A tensor that a value holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// Which one.
    pub id: TensorId,
    /// Its bytes.
    pub bytes: usize,
}

type Shared = Arc<dyn Any + Send + Sync>;

/// A port type at run time.
pub struct PortInfo {
    /// [`Port::NAME`].
    pub name: &'static str,
    /// Rust's name of the type: tells whether it is shared by all plugins or private to one.
    pub type_name: fn() -> &'static str,
    decode: fn(&[u8]) -> Result<Shared>,
    encode: fn(&(dyn Any + Send + Sync)) -> Result<Option<Vec<u8>>>,
    size: fn(&(dyn Any + Send + Sync)) -> usize,
    shed: fn(&(dyn Any + Send + Sync)),
    held: fn(&(dyn Any + Send + Sync)) -> Vec<Held>,
}

impl PortInfo {
    /// The description of port type `T`.
    pub const fn of<T: Port>() -> Self {
        Self {
            name: T::NAME,
            type_name: std::any::type_name::<T>,
            decode: |bytes| Ok(Arc::new(T::decode(bytes)?)),
            encode: |any| any.downcast_ref::<T>().map_or(Ok(None), T::encode),
            size: |any| any.downcast_ref::<T>().map_or(0, T::size),
            shed: |any| any.downcast_ref::<T>().map_or((), T::shed),
            held: |any| any.downcast_ref::<T>().map_or_else(Vec::new, held),
        }
    }

    /// Whether the type is defined in a crate that all plugins share. Anything else is private to the build
    /// of the plugin that made it: two builds of one plugin can have equal `TypeId`s and other layouts.
    pub fn is_shared(&self) -> bool {
        const SHARED: [&str; 8] = [
            "std",
            "core",
            "alloc",
            "sdk",
            "diffusion",
            "graph",
            "candle_core",
            "serde_json",
        ];
        (self.type_name)()
            .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
            .filter(|path| path.contains("::"))
            .all(|path| SHARED.contains(&path.split("::").next().unwrap_or_default()))
    }

    /// Reads a stored value.
    ///
    /// # Errors
    /// When the bytes are damaged or of another type.
    pub fn decode(&'static self, bytes: &[u8]) -> Result<Value> {
        Ok(Value {
            data: (self.decode)(bytes)?,
            info: self,
        })
    }
}

fn held<T: Port>(value: &T) -> Vec<Held> {
    let tensors = value.tensors().into_iter();
    tensors
        .map(|tensor| Held {
            id: tensor.id(),
            bytes: tensor.elem_count() * tensor.dtype().size_in_bytes(),
        })
        .collect()
}

/// A value on a link: immutable, cheap to clone.
#[derive(Clone)]
pub struct Value {
    data: Shared,
    info: &'static PortInfo,
}

/// Gives every port type one static description.
trait Described: Port {
    /// The description.
    const INFO: &'static PortInfo;
}

impl<T: Port> Described for T {
    const INFO: &'static PortInfo = &PortInfo::of::<T>();
}

impl Value {
    /// Wraps a value.
    pub fn new<T: Port>(value: T) -> Self {
        Self {
            data: Arc::new(value),
            info: T::INFO,
        }
    }

    /// The value, if it is a `T`.
    ///
    /// # Errors
    /// Names both types.
    pub fn get<T: Port>(&self) -> Result<&T> {
        self.data.downcast_ref().ok_or_else(|| {
            Error::msg(format!(
                "expected a value of type {}, found {}",
                T::NAME,
                self.info.name
            ))
            .help("the two node crates were built from different sources; rebuild the workspace")
        })
    }

    /// The port type.
    pub fn info(&self) -> &'static PortInfo {
        self.info
    }

    /// The value as bytes for the store; `None` for what lives in memory only.
    ///
    /// # Errors
    /// When the value cannot be written.
    pub fn encode(&self) -> Result<Option<Vec<u8>>> {
        (self.info.encode)(&*self.data)
    }

    /// How many hold it.
    pub fn holders(&self) -> usize {
        Arc::strong_count(&self.data)
    }

    /// About how many bytes of memory it holds now, beside its tensors.
    pub fn size(&self) -> usize {
        (self.info.size)(&*self.data)
    }

    /// Lets go of memory that it can fill again by itself.
    pub fn shed(&self) {
        (self.info.shed)(&*self.data);
    }

    /// The tensors it holds.
    pub fn held(&self) -> Vec<Held> {
        (self.info.held)(&*self.data)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({})", self.info.name)
    }
}

impl Port for String {
    const NAME: &'static str = "text";
    fn encode(&self) -> Result<Option<Vec<u8>>> {
        Ok(Some(self.clone().into_bytes()))
    }
    fn decode(bytes: &[u8]) -> Result<Self> {
        Ok(Self::from_utf8(bytes.to_vec())?)
    }
    fn size(&self) -> usize {
        self.len()
    }
}

impl Port for f64 {
    const NAME: &'static str = "number";
    fn encode(&self) -> Result<Option<Vec<u8>>> {
        Ok(Some(self.to_le_bytes().to_vec()))
    }
    fn decode(bytes: &[u8]) -> Result<Self> {
        Ok(Self::from_le_bytes(bytes.try_into()?))
    }
}

impl Port for Tensor {
    const NAME: &'static str = "tensor";
    fn encode(&self) -> Result<Option<Vec<u8>>> {
        Ok(Some(safetensors::serialize([("tensor", self)], None)?))
    }
    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut tensors = candle_core::safetensors::load_buffer(bytes, &candle_core::Device::Cpu)?;
        tensors
            .remove("tensor")
            .ok_or_else(|| Error::msg("no tensor named `tensor` in the stored value"))
    }
    fn tensors(&self) -> Vec<&Tensor> {
        vec![self]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Private;
    impl Port for Private {
        const NAME: &'static str = "private";
        fn encode(&self) -> Result<Option<Vec<u8>>> {
            Ok(None)
        }
        fn decode(_: &[u8]) -> Result<Self> {
            Ok(Self)
        }
    }

    #[test]
    fn values_keep_their_type() {
        let value = Value::new("hello".to_owned());
        assert_eq!(value.get::<String>().unwrap(), "hello");
        let error = value.get::<f64>().unwrap_err();
        assert!(
            error.message().contains("number") && error.message().contains("text"),
            "{error}"
        );
        let again = value.info().decode(&value.encode().unwrap().unwrap()).unwrap();
        assert_eq!(again.get::<String>().unwrap(), "hello");
    }

    #[test]
    fn tensors_survive_the_store() {
        let tensor = Tensor::new(&[[1f32, -2.5], [3.0, f32::MIN]], &candle_core::Device::Cpu).unwrap();
        let again = Tensor::decode(&tensor.encode().unwrap().unwrap()).unwrap();
        assert_eq!(again.to_vec2::<f32>().unwrap(), tensor.to_vec2::<f32>().unwrap());
    }

    #[test]
    fn private_types_are_told_from_shared_ones() {
        assert!(String::INFO.is_shared() && Tensor::INFO.is_shared());
        let info = PortInfo {
            type_name: || "alloc::vec::Vec<node_x::Thing>",
            ..PortInfo::of::<Private>()
        };
        assert!(!info.is_shared());
    }
}
