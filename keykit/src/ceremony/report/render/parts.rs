//! Pieces that several parts of the page use.

use crate::ceremony::html::Html;
use crate::ceremony::report::Status;

/// Text, escaped.
pub(super) fn text(content: &str) -> Html {
    Html::text(content)
}

/// An element around pieces.
pub(super) fn el(name: &'static str, attributes: &[(&'static str, &str)], pieces: impl IntoIterator<Item = Html>) -> Html {
    Html::element(name, attributes, &pieces.into_iter().collect())
}

/// An element of a class around text.
pub(super) fn classed(name: &'static str, class: &str, content: &str) -> Html {
    el(name, &[("class", class)], [text(content)])
}

/// A part of the page under its own heading.
pub(super) fn section(id: &str, title: &str, content: Html) -> Html {
    let heading = format!("{id}-heading");
    el("section", &[("id", id), ("aria-labelledby", &heading)], [el("h2", &[("id", &heading)], [text(title)]), content])
}

/// A list of sentences.
pub(super) fn list(items: &[String]) -> Html {
    el("ul", &[], items.iter().map(|item| el("li", &[], [text(item)])))
}

/// The class of a status.
pub(super) fn status_class(status: Status) -> &'static str {
    match status {
        Status::Holds => "holds",
        Status::Open => "open",
        Status::Fails => "fails",
    }
}

/// A status as a shape: a tick, a ring with a gap, a cross. Words always stand beside it.
pub(super) fn icon(status: Status) -> Html {
    let shape = match status {
        Status::Holds => "M6.5 12.5l3.6 3.6 7.4-8",
        Status::Open => "M12 7v6M12 16.6v.4",
        Status::Fails => "M8 8l8 8M16 8l-8 8",
    };
    drawn(shape)
}

/// A ring with a shape in it.
pub(super) fn drawn(shape: &str) -> Html {
    let stroke = [("fill", "none"), ("stroke", "currentColor"), ("stroke-width", "2"), ("stroke-linecap", "round"), ("stroke-linejoin", "round")];
    let mut ring = vec![("cx", "12"), ("cy", "12"), ("r", "10")];
    ring.extend(stroke);
    let mut path = vec![("d", shape)];
    path.extend(stroke);
    let shapes = [el("circle", &ring, []), el("path", &path, [])];
    el("svg", &[("viewBox", "0 0 24 24"), ("aria-hidden", "true"), ("focusable", "false")], shapes)
}

/// A status in a word, with its shape.
pub(super) fn badge(status: Status) -> Html {
    let word = match status {
        Status::Holds => "Shown",
        Status::Open => "Open",
        Status::Fails => "Failed",
    };
    worded_badge(status, word)
}

/// A status with a word of one's own.
pub(super) fn worded_badge(status: Status, word: &str) -> Html {
    el("span", &[("class", &format!("badge {}", status_class(status)))], [icon(status), text(word)])
}

/// A word in a pill, without a status.
pub(super) fn pill(class: &str, word: &str) -> Html {
    el("span", &[("class", &format!("badge {class}"))], [text(word)])
}

/// A column of a table.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) class: &'static str,
}

/// A column of text.
pub(super) const fn column(title: &'static str) -> Column {
    Column { title, class: "" }
}

/// The column that a row is about, which takes as much room as the others together.
pub(super) const fn main(title: &'static str) -> Column {
    Column { title, class: "main" }
}

/// A column of numbers.
pub(super) const fn numbers(title: &'static str) -> Column {
    Column { title, class: "number" }
}

/// A column that is as narrow as its content.
pub(super) const fn narrow(title: &'static str) -> Column {
    Column { title, class: "narrow" }
}

/// A table; the first cell of each row is its heading. On narrow screens each row becomes a card, in which every cell carries the
/// title of its column. The roles keep it a table for screen readers then.
pub(super) fn table(caption: &str, columns: &[Column], rows: Vec<Vec<Html>>) -> Html {
    let head = columns.iter().map(|column| {
        let mut attributes = vec![("scope", "col"), ("role", "columnheader")];
        if !column.class.is_empty() {
            attributes.push(("class", column.class));
        }
        el("th", &attributes, [text(column.title)])
    });
    let body = rows.into_iter().map(|cells| {
        let cells = cells.into_iter().zip(columns).enumerate().map(|(index, (cell, column))| {
            let (name, mut attributes) =
                if index == 0 { ("th", vec![("scope", "row"), ("role", "rowheader")]) } else { ("td", vec![("role", "cell")]) };
            // What says what it is needs no title of its column.
            if index > 0 && column.class != "narrow" {
                attributes.push(("data-label", column.title));
            }
            if !column.class.is_empty() {
                attributes.push(("class", column.class));
            }
            el(name, &attributes, [cell])
        });
        el("tr", &[("role", "row")], cells)
    });
    el(
        "table",
        &[("role", "table")],
        [
            el("caption", &[], [text(caption)]),
            el("thead", &[("role", "rowgroup")], [el("tr", &[("role", "row")], head)]),
            el("tbody", &[("role", "rowgroup")], body),
        ],
    )
}
