//! `table/save`.

use sdk::prelude::*;
use sdk::{Cell, OutputPath};

/// Saves a table as CSV, or as JSON if the file's name ends in .json.
#[node("table/save", effect, outputs(file = "The written file"))]
fn save(
    context: &Context,
    /// Losses, scores, reports
    table: &Table,
    /// The file, ending in .csv or .json
    path: OutputPath,
) -> Result<Files> {
    let bytes = match path.extension().and_then(|e| e.to_str()) {
        Some("json") => sdk::serde_json::to_vec_pretty(table)?,
        Some("csv") => csv(table).into_bytes(),
        _ => sdk::bail!("parameter `path`: {} ends in neither .csv nor .json", path.display()),
    };
    context.claim(&path, &bytes)?;
    let mut files = Files::default();
    files.write(&path, &bytes)?;
    Ok(files)
}

fn csv(table: &Table) -> String {
    let quoted = |text: &str| match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    };
    let cell = |cell: &Cell| match cell {
        Cell::Number(number) => number.to_string(),
        Cell::Text(text) => quoted(text),
    };
    let head = table.columns.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(",");
    let rows = table
        .rows
        .iter()
        .map(|row| row.iter().map(cell).collect::<Vec<_>>().join(","));
    std::iter::once(head).chain(rows).map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_as_csv_and_json() {
        let mut table = Table::new(["step", "note"]);
        table.push([1.5.into(), "a, \"b\"".into()]);
        assert_eq!(csv(&table), "step,note\n1.5,\"a, \"\"b\"\"\"\n");
        let folder = tempfile::tempdir().unwrap();
        let context = Context::detached();
        let file = folder.path().join("t.json");
        save(&context, &table, OutputPath(file.clone())).unwrap();
        let again: Table = sdk::serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(again, table);
        assert!(save(&context, &table, OutputPath(folder.path().join("t.txt"))).is_err());
    }
}
