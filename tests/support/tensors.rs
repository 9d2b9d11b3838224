//! Small edits of safetensors files, to break them one way at a time.

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use std::collections::BTreeMap;
use std::path::Path;

/// Writes a file again after `edit` has changed its tensors: name to (shape, bytes). All tensors keep their type.
pub(crate) fn edit(file: &Path, edit: impl FnOnce(&mut BTreeMap<String, (Vec<usize>, Vec<u8>)>)) {
    let bytes = std::fs::read(file).unwrap();
    let read = SafeTensors::deserialize(&bytes).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let dtypes: BTreeMap<String, _> = read
        .iter()
        .map(|(name, view)| (name.to_owned(), view.dtype()))
        .collect();
    let mut tensors = read
        .iter()
        .map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), view.data().to_vec())))
        .collect();
    edit(&mut tensors);
    let views: BTreeMap<&String, TensorView<'_>> = tensors
        .iter()
        .map(|(name, (shape, data))| {
            let dtype = dtypes.get(name).or_else(|| dtypes.values().next());
            (name, TensorView::new(*dtype.unwrap(), shape.clone(), data).unwrap())
        })
        .collect();
    let written = safetensors::serialize(views, header.metadata().clone()).unwrap();
    std::fs::write(file, written).unwrap();
}
