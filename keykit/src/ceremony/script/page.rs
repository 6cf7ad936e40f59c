//! The script as one page to print.

use super::{Script, Task};
use crate::ceremony::html::{self, Html};
use crate::ceremony::qr::Qr;
use crate::error::Result;

const STYLE: &str = include_str!("page.css");

/// The script as one HTML page that needs nothing from elsewhere.
///
/// # Errors
/// [`crate::Error::Internal`] never in practice.
pub fn page(script: &Script) -> Result<String> {
    let title = format!("Key ceremony of {}", script.organisation);
    let mut body = Html::default();
    body.push_line(&Qr::of(&script.plan)?.to_svg("QR code of the plan hash"));
    body.push_line(&Html::element_of_text("h1", &title));
    body.push_line(&labelled("Tenant", &script.tenant));
    body.push_line(&labelled("Plan file", &script.plan_file));
    body.push_line(&labelled("Approvals", &script.approvals));
    body.push_line(&paragraph(&[label("Plan hash"), Html::element_of_text("code", &script.plan)]));
    for danger in &script.dangers {
        body.push_line(&Html::element("p", &[("class", "danger")], &Html::text(&format!("DANGER, allowed by this plan: {danger}"))));
    }
    body.push_line(&words(&script.words));
    heading(&mut body, "People");
    let rows = script
        .people
        .iter()
        .map(|person| vec![Html::text(&person.name), Html::text(&person.role), code(&person.key), Html::default(), Html::default()]);
    body.push_line(&table("sign", &["name", "role", "key", "arrived (UTC)", "signature"], rows));
    if !script.findings.is_empty() {
        heading(&mut body, "To know before you begin");
        let items: Html = script.findings.iter().map(|finding| Html::element_of_text("li", finding)).collect();
        body.push_line(&Html::element("ul", &[], &items));
    }
    heading(&mut body, "Files");
    let rows = script.files.iter().map(|file| vec![Html::text(&file.path), Html::text(&file.bytes.to_string()), code(&file.sha256)]);
    body.push_line(&table("files", &["file", "bytes", "SHA-256"], rows));
    for file in &script.files {
        body.push_line(&Html::element_of_text("h3", &file.path));
        body.push_line(&words(&file.words));
    }
    heading(&mut body, "Keys and their check values");
    script.check_values.iter().for_each(|sentence| body.push_line(&Html::element_of_text("p", sentence)));
    for key in &script.keys {
        body.push_line(&Html::element_of_text("h3", &key.about));
        body.push_line(&Html::element("p", &[], &code(&format!("spki-sha256:{}", key.key_id))));
        body.push_line(&words(&key.words));
        if key.is_wrapped {
            body.push_line(&boxes(&["wrapping key", "KCV method (cmac-aes or ecb)", "KCV (6 hex digits)"]));
        }
    }
    for (part, number) in script.parts.iter().zip(1..) {
        heading(&mut body, &format!("{number}. {}", part.title));
        body.push_line(&Html::element_of_text("p", part.purpose));
        part.steps.iter().zip(1..).for_each(|(task, place)| body.push_line(&step(task, &format!("{number}.{place}"))));
    }
    heading(&mut body, "When a step fails");
    body.push_line(&Html::element_of_text("p", "The exit code is what echo $? shows. Nothing is done twice, so keykit resume is always safe."));
    let rows = script.failures.iter().map(|row| [&row.exit.to_string(), row.meaning, row.action.as_str()].map(Html::text).to_vec());
    body.push_line(&table("failures", &["exit", "meaning", "what the room does"], rows));
    body.push_line(&Html::element_of_text("p", "To give the run up, what can be undone is undone and what stays is listed:"));
    body.push_line(&block("", &[script.abort_command()]));
    Ok(html::page(&title, STYLE, &body))
}

fn step(task: &Task, number: &str) -> Html {
    let mut content = Html::element_of_text("h3", &format!("{number} {}", task.what));
    task.details.iter().for_each(|detail| content.push(&Html::element_of_text("p", detail)));
    for (name, lines) in task.screen_and_commands().filter(|(_, lines)| !lines.is_empty()) {
        content.push(&paragraph(&[label(name)]));
        content.push(&block(if name == super::TYPE { "typed" } else { "screen" }, lines));
    }
    for (name, what) in [("If it fails", &task.when_it_fails), ("Undo", &task.undo)] {
        if !what.is_empty() {
            content.push(&labelled(name, what));
        }
    }
    if !task.to_fill_in.is_empty() {
        content.push(&boxes(&task.to_fill_in));
    }
    content.push(&boxes(&["time (UTC)", "operator", "witness"]));
    Html::element("section", &[("class", "step")], &content)
}

fn heading(body: &mut Html, text: &str) {
    body.push_line(&Html::element_of_text("h2", text));
}

fn label(text: &str) -> Html {
    Html::element("span", &[("class", "label")], &Html::text(&format!("{text}: ")))
}

fn labelled(name: &str, text: &str) -> Html {
    paragraph(&[label(name), Html::text(text)])
}

fn paragraph(pieces: &[Html]) -> Html {
    Html::element("p", &[], &pieces.iter().cloned().collect())
}

fn code(text: &str) -> Html {
    Html::element_of_text("code", text)
}

fn block(class: &str, lines: &[String]) -> Html {
    Html::element("pre", &[("class", class)], &Html::text(&lines.join("\n")))
}

/// Boxes to write in, each under its name.
fn boxes(names: &[&str]) -> Html {
    table("boxes", names, std::iter::once(vec![Html::default(); names.len()]))
}

fn words(words: &[String]) -> Html {
    let rows: Html = Script::numbered(words)
        .map(|line| {
            let cell = |(place, word): &(usize, &str)| {
                let content = [Html::element_of_text("small", &format!("{place} ")), Html::text(word)].into_iter().collect();
                Html::element("td", &[], &content)
            };
            Html::element("tr", &[], &line.iter().map(cell).collect())
        })
        .collect();
    Html::element("table", &[("class", "words")], &rows)
}

fn table(class: &str, names: &[&str], rows: impl Iterator<Item = Vec<Html>>) -> Html {
    let mut content = Html::element("tr", &[], &names.iter().map(|name| Html::element_of_text("th", name)).collect());
    for row in rows {
        let cells = row.iter().map(|cell| Html::element("td", &[], cell)).collect();
        content.push(&Html::element("tr", &[], &cells));
    }
    Html::element("table", &[("class", class)], &content)
}
