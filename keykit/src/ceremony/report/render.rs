//! The page: one file, readable without colours, at every width and on paper (WCAG 2.1 AA).

mod keys;
mod moments;
mod parts;
mod picture;
mod tables;

use jiff::Timestamp;

use super::{Point, Report, Statement, Status};
use crate::ceremony::html::{self, Html};
use parts::{badge, classed, el, icon, list, section, status_class, text};

/// The style. Colours are named once for light, dark and paper; tests compute their contrast.
pub(super) const STYLE: &str = include_str!("render/report.css");

const PROMISE: &str = "The promise of a migration: every old document still opens, and new content uses the new service.";

/// Parts of the page: anchor, title.
const CONTENTS: [(&str, &str); 10] = [
    ("promise", "The promise, sentence by sentence"),
    ("paths", "The paths taken"),
    ("keys", "Keys before and after"),
    ("proofs", "Proofs"),
    ("access", "Access to protected files"),
    ("not-proven", "What was not proven"),
    ("approvals", "Approvals"),
    ("findings", "Findings by rule"),
    ("timeline", "What happened"),
    ("environment", "Environment"),
];

/// The page.
pub(super) fn page(report: &Report) -> String {
    let mut main = Html::default();
    let parts = [
        promise(report),
        picture::figure(report),
        keys::all(report),
        tables::proofs(report),
        tables::access(report),
        list_card("These things no part of this report shows. Whoever relies on it should know them.", &report.not_proven),
        tables::approvals(report),
        tables::findings(report),
        moments::all(report),
        tables::environment(report),
    ];
    for ((id, title), part) in CONTENTS.into_iter().zip(parts) {
        main.push_line(&section(id, title, part));
    }
    main.push_line(&section("words", "Words used here", glossary()));
    main.push_line(&section("check", "How to check this report", how_to_check(report)));
    let mut body = el("a", &[("class", "skip"), ("href", "#promise")], [text("To the verdict")]);
    body.push_line(&header(report));
    body.push_line(&Html::element("main", &[], &main));
    body.push_line(&footer(report));
    html::page(&format!("{}: migration of {}", status_word(report.status), report.plan.organisation), STYLE, &body)
}

fn status_word(status: Status) -> &'static str {
    match status {
        Status::Holds => "Shown",
        Status::Open => "Open",
        Status::Fails => "Failed",
    }
}

/// A time for people: `2026-11-23 10:15:00 UTC`.
fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn header(report: &Report) -> Html {
    let class = format!("verdict {}", status_class(report.status));
    let mut words = el("h1", &[], [text(&report.headline)]);
    if report.status != Status::Holds {
        words.push(&el("p", &[], [text(PROMISE)]));
    }
    words.push(&el("p", &[], [text(&report.summary)]));
    let words = Html::element("div", &[], &words);
    let verdict = el("div", &[("class", &class)], [icon(report.status), words]);
    let plan = &report.plan;
    let facts = [
        ("Organisation", text(&plan.organisation), false),
        ("Tenant", text(&format!("{} ({})", plan.tenant, plan.region)), false),
        ("Report made", text(&moment(report.made)), false),
        ("Made with", text(&report.environment.program.name), false),
        ("Hash of the plan, which the people approved", hash(&plan.hash, &plan.words), true),
    ];
    let facts = facts.into_iter().map(|(name, value, wide)| {
        let attributes: &[(&'static str, &str)] = if wide { &[("class", "wide")] } else { &[] };
        el("div", attributes, [el("dt", &[], [text(name)]), el("dd", &[], [value])])
    });
    let links = CONTENTS.into_iter().map(|(id, title)| el("li", &[], [el("a", &[("href", &format!("#{id}"))], [text(title)])]));
    el(
        "header",
        &[],
        [
            classed("p", "over", "keykit · report of a migration from AD RMS to Azure Rights Management"),
            verdict,
            el("dl", &[("class", "facts")], facts),
            el("nav", &[("aria-label", "Contents")], [el("ul", &[], links)]),
        ],
    )
}

/// A SHA-256 in hex, and in words beneath.
fn hash(hex: &str, words: &str) -> Html {
    [el("code", &[], [text(hex)]), el("div", &[("class", "words")], [text(words)])].into_iter().collect()
}

fn promise(report: &Report) -> Html {
    let card = |statement: &Statement| {
        let class = format!("card {}", status_class(statement.status));
        let against = statement.but.iter().map(|point: &Point| {
            let word = if point.status == Status::Fails { "Failed: " } else { "Open: " };
            el("li", &[("class", status_class(point.status))], [el("strong", &[], [text(word)]), text(&point.what)])
        });
        let mut pieces = vec![badge(statement.status), el("h3", &[], [text(statement.claim)])];
        if !statement.because.is_empty() {
            pieces.push(list(&statement.because));
        }
        if !statement.but.is_empty() {
            pieces.push(el("ul", &[("class", "against")], against));
        }
        el("div", &[("class", &class)], pieces)
    };
    el("div", &[("class", "claims")], report.statements.iter().map(card))
}

fn list_card(lead: &'static str, items: &[String]) -> Html {
    [classed("p", "lead", lead), el("div", &[("class", "card list-card")], [list(items)])].into_iter().collect()
}

fn glossary() -> Html {
    const WORDS: [(&str, &str); 10] = [
        (
            "Key",
            "The RSA key of a server licensor certificate. Every protected document carries a licence that is sealed to one such key; without it the document can't be opened.",
        ),
        (
            "Identity of a key",
            "The SHA-256 of its public half (SubjectPublicKeyInfo). Tables show the first 16 hex digits. The words are the same hash in the PGP word list, for reading aloud.",
        ),
        ("Licence", "What says who may do what with a document, and holds the document's content key, sealed to a key."),
        ("Tenant", "The organisation in the new service, and its keyring: all keys, of which one is active."),
        ("Active and archived", "The active key protects new content. Archived keys open what was protected with them. None is ever deleted."),
        ("Exported file", "A trusted publishing domain: the file in which AD RMS hands out a key, its certificates and templates, under a password."),
        ("Token", "A hardware security module, or software that behaves like one (PKCS#11)."),
        ("Mode 1 and 2", "The two cryptographic modes of AD RMS: RSA-1024 with SHA-1, and RSA-2048 with SHA-256."),
        (
            "Plan",
            "One file that says everything that is to be done. Its hash is what people approve; the program carries out that plan and no other.",
        ),
        (
            "Journal",
            "The program writes down what it is about to do and what it did, each on the disk before the next, each line with the hash of the line before.",
        ),
    ];
    let words = WORDS.iter().map(|(word, meaning)| el("div", &[], [el("dt", &[], [text(word)]), el("dd", &[], [text(meaning)])]));
    el("div", &[("class", "card")], [el("dl", &[("class", "glossary")], words)])
}

fn how_to_check(report: &Report) -> Html {
    let lines = [
        ("keykit plan show PLAN.json", "shows the plan and its hash, which must be the one at the top of this page"),
        ("keykit verify PLAN.json", "makes the proofs anew from the stores and files, and reads no journal"),
        ("keykit prove-access --tenant DIR FOLDER…", "goes through protected files anew"),
        ("ssh-keygen -Y verify -n keykit-plan …", "checks an approval without keykit"),
        ("keykit report PLAN.json --format json", "gives the data of this page to programs"),
    ];
    let items = lines.iter().map(|(command, what)| el("li", &[], [el("code", &[], [text(command)]), text(&format!(" {what}."))]));
    let plan = format!("The plan has the hash {}.", report.plan.hash.chars().take(16).collect::<String>());
    el("div", &[("class", "card list-card")], [el("ul", &[], items), classed("p", "small", &plan)])
}

fn footer(report: &Report) -> Html {
    let made = format!(
        "Made by {} at {} from the plan, its approvals, the journal, and the stores themselves. The page holds no secret, runs no script and loads nothing.",
        report.environment.program.name,
        moment(report.made)
    );
    el("footer", &[], [classed("p", "small", &made)])
}
