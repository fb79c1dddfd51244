//! Lists as files, through the upload as a customer does it.

mod bad;
mod good;

use serde_json::{Value, json};

use crate::support::App;

/// Uploads a file with hints (`column`, `has_header`, `delimiter`, `encoding`); the task at its end.
async fn uploaded(app: &App, file_name: &str, body: &[u8], hints: Value) -> Value {
    let mut wish = json!({ "file_name": file_name, "size": body.len() });
    wish.as_object_mut().unwrap().extend(hints.as_object().unwrap().clone());
    let link = app.link(&wish).await;
    let put = app.put(&link, body.to_vec()).await;
    assert_eq!(put.status, 200, "{}", put.text());
    app.finished(link["task"]["id"].as_str().unwrap()).await
}

/// A workbook of these rows, saved.
fn workbook(rows: &[&[&str]]) -> Vec<u8> {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    for (at, row) in (0..).zip(rows) {
        sheet.write_row(at, 0, row.iter().copied()).unwrap();
    }
    book.save_to_buffer().unwrap()
}
