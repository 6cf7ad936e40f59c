//! The picture of the paths: sources, the path of each key, the tenant. Drawn twice, for wide screens and paper and for narrow ones.

use super::keys::{path_words, status_words};
use super::parts::{classed, el, text};
use crate::ceremony::html::Html;
use crate::ceremony::report::{Report, ReportedKey};
use crate::tenant::KeyStatus;

/// So many keys are drawn; the rest is counted.
const DRAWN: usize = 8;
/// Characters that fit into a box, wide and narrow.
const FITS: usize = 32;

pub(super) fn figure(report: &Report) -> Html {
    if report.keys.is_empty() {
        return classed("p", "lead", "The plan moves no key.");
    }
    let caption = "From left to right (on narrow screens from top to bottom): where each key was, the path it took, and the tenant that has it now.";
    el("figure", &[], [el("div", &[("class", "card")], [wide(report), tall(report)]), el("figcaption", &[("class", "small")], [text(caption)])])
}

/// The picture in words, for those who do not see it.
fn description(report: &Report) -> String {
    let line = |key: &ReportedKey| {
        let from = key.before.as_ref().map_or_else(|| "no place outside".to_owned(), |place| format!("{} {}", place.kind, place.name));
        let to = key.after.as_ref().map_or_else(|| "is not in the tenant".to_owned(), |place| format!("to {} {}", place.kind, place.name));
        format!("Key {} of {}: from {from}, {}, {to}; {}.", key.key_id.short(), key.name, path_words(key.path), status_words(key.status))
    };
    report.keys.iter().map(line).collect::<Vec<_>>().join(" ")
}

fn svg(report: &Report, name: &str, class: &str, width: u32, height: u32, mut shapes: Vec<Html>) -> Html {
    let (title, description_id) = (format!("picture-{name}-title"), format!("picture-{name}-description"));
    let heading = format!("The paths of the keys into the tenant {}", report.plan.tenant);
    let mut all = vec![el("title", &[("id", &title)], [text(&heading)]), el("desc", &[("id", &description_id)], [text(&description(report))])];
    all.append(&mut shapes);
    let size = format!("0 0 {width} {height}");
    let label = format!("{title} {description_id}");
    el("svg", &[("class", class), ("viewBox", &size), ("role", "img"), ("aria-labelledby", &label)], all)
}

fn drawn_keys(report: &Report) -> (Vec<&ReportedKey>, usize) {
    let shown = if report.keys.len() > DRAWN { DRAWN - 1 } else { report.keys.len() };
    (report.keys.iter().take(shown).collect(), report.keys.len() - shown)
}

fn wide(report: &Report) -> Html {
    const ROW: u32 = 92;
    const TOP: u32 = 78;
    let (keys, more) = drawn_keys(report);
    let rows = u32::try_from(keys.len() + usize::from(more > 0)).unwrap_or(u32::MAX);
    let height = TOP + rows * ROW + 8;
    let mut shapes = vec![
        label(12, 30, "big ink", "Sources: AD RMS"),
        label(12, 50, "dim", "where the keys were"),
        rectangle(500, 1, 299, height - 2, "tenant", 12),
        label(518, 30, "big ink", &fit(&report.plan.tenant, FITS - 4)),
        label(518, 50, "dim", &fit(&format!("tenant: {}", where_kept(report)), FITS)),
    ];
    for (index, key) in keys.iter().enumerate() {
        let y = TOP + u32::try_from(index).unwrap_or_default() * ROW;
        if let Some(before) = &key.before {
            shapes.push(rectangle(1, y, 270, 76, "box", 8));
            shapes.push(label(17, y + 25, "big ink", &fit(&key.name, FITS - 6)));
            shapes.push(label(17, y + 45, "dim", &fit(&format!("{}: {}", before.kind, before.name), FITS)));
            shapes.push(label(17, y + 63, "dim", &fit(&format!("protected {}", before.protection), FITS)));
            shapes.push(el("path", &[("class", "arrow"), ("d", &format!("M272 {0}H502", y + 38))], []));
            shapes.push(el("path", &[("class", "head"), ("d", &format!("M516 {0}l-16 -8v16z", y + 38))], []));
            shapes.push(rectangle(311, y + 23, 150, 30, "chip", 15));
            shapes.push(centred(386, y + 42, "ink", path_words(key.path)));
        }
        slot(&mut shapes, key, 518, y, 264);
    }
    if more > 0 {
        let y = TOP + rows.saturating_sub(1) * ROW;
        shapes.push(label(17, y + 42, "ink", &format!("and {more} more keys, listed below")));
    }
    svg(report, "wide", "wide-picture", 800, height, shapes)
}

fn tall(report: &Report) -> Html {
    const ROW: u32 = 104;
    let (keys, more) = drawn_keys(report);
    let sources: Vec<&&ReportedKey> = keys.iter().filter(|key| key.before.is_some()).collect();
    let mut shapes = vec![label(2, 18, "big ink", "Sources: AD RMS")];
    let mut y = 32;
    for key in &sources {
        let Some(before) = &key.before else { continue };
        shapes.push(rectangle(1, y, 338, ROW - 12, "box", 8));
        shapes.push(label(15, y + 24, "big ink", &fit(&key.name, FITS)));
        shapes.push(label(15, y + 43, "dim", &fit(&format!("{}: {}", before.kind, before.name), FITS + 7)));
        shapes.push(label(15, y + 61, "dim", &fit(&format!("protected {}", before.protection), FITS + 7)));
        shapes.push(label(15, y + 80, "ink", &format!("Path: {}", path_words(key.path))));
        y += ROW;
    }
    if more > 0 {
        shapes.push(label(15, y + 14, "ink", &format!("and {more} more keys, listed below")));
        y += 28;
    }
    shapes.push(el("path", &[("class", "arrow"), ("d", &format!("M170 {y}v26"))], []));
    shapes.push(el("path", &[("class", "head"), ("d", &format!("M170 {}l-8 -16h16z", y + 42))], []));
    y += 46;
    let rows = u32::try_from(keys.len()).unwrap_or_default();
    let tenant_height = 66 + rows * 84;
    shapes.push(rectangle(1, y, 338, tenant_height, "tenant", 12));
    shapes.push(label(15, y + 26, "big ink", &fit(&report.plan.tenant, FITS)));
    shapes.push(label(15, y + 46, "dim", &fit(&format!("tenant: {}", where_kept(report)), FITS + 5)));
    for (index, key) in keys.iter().enumerate() {
        slot(&mut shapes, key, 13, y + 60 + u32::try_from(index).unwrap_or_default() * 84, 314);
    }
    svg(report, "tall", "tall", 340, y + tenant_height + 2, shapes)
}

/// A key in the tenant.
fn slot(shapes: &mut Vec<Html>, key: &ReportedKey, x: u32, y: u32, width: u32) {
    let active = key.status == Some(KeyStatus::Active);
    shapes.push(rectangle(x, y, width, 76, if active { "slot active" } else { "slot" }, 8));
    shapes.push(label(x + 16, y + 25, if active { "big lit" } else { "big ink" }, capital_status(key.status)));
    shapes.push(label(x + 16, y + 45, "key ink", &key.key_id.short()));
    let what = if key.before.is_some() {
        format!("RSA-{}, mode {}", key.modulus_bits, key.mode)
    } else {
        // Its mode stands with the key below: a slot has no room for both.
        format!("RSA-{}, {}", key.modulus_bits, path_words(key.path))
    };
    shapes.push(label(x + 16, y + 64, "dim", &what));
}

fn capital_status(status: Option<KeyStatus>) -> &'static str {
    match status {
        Some(KeyStatus::Active) => "Active",
        Some(KeyStatus::Archived) => "Archived",
        None => "Not there",
    }
}

fn where_kept(report: &Report) -> String {
    let place = report.keys.iter().find_map(|key| key.after.as_ref());
    place.map_or_else(|| "no key has come yet".to_owned(), |place| format!("keys in the {} {}", place.kind, place.name))
}

fn rectangle(x: u32, y: u32, width: u32, height: u32, class: &str, radius: u32) -> Html {
    let [x, y, width, height, radius] = [x, y, width, height, radius].map(|number| number.to_string());
    el("rect", &[("class", class), ("x", &x), ("y", &y), ("width", &width), ("height", &height), ("rx", &radius)], [])
}

fn label(x: u32, y: u32, class: &str, content: &str) -> Html {
    el("text", &[("class", class), ("x", &x.to_string()), ("y", &y.to_string())], [text(content)])
}

fn centred(x: u32, y: u32, class: &str, content: &str) -> Html {
    el("text", &[("class", class), ("x", &x.to_string()), ("y", &y.to_string()), ("text-anchor", "middle")], [text(content)])
}

/// A text cut to so many characters; the whole of it stands in the description and below.
fn fit(content: &str, most: usize) -> String {
    if content.chars().count() <= most {
        return content.to_owned();
    }
    content.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
