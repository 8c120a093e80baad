//! Tables for people, JSON for programs.

use comfy_table::{Table, presets};
use serde::Serialize;

/// A table with that header, without rows.
pub fn table<'h>(header: impl IntoIterator<Item = &'h str>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header(header);
    table
}

/// All rows as one JSON array, an object per line.
pub fn json_array<R: Serialize>(rows: &[R]) -> String {
    let object = |row| serde_json::to_string(row).unwrap_or_default();
    let objects: Vec<String> = rows.iter().map(object).collect();
    if objects.is_empty() {
        "[]\n".to_owned()
    } else {
        format!("[\n  {}\n]\n", objects.join(",\n  "))
    }
}

/// One JSON object on a line.
pub fn json_object<R: Serialize>(object: &R) -> String {
    format!("{}\n", serde_json::to_string(object).unwrap_or_default())
}

/// A number with its thousands set apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn an_array_has_an_object_per_line() {
        assert_eq!(json_array::<u32>(&[]), "[]\n");
        assert_eq!(json_array(&[1, 2]), "[\n  1,\n  2\n]\n");
    }
}
