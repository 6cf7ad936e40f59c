//! The rules that the page keeps: nothing from elsewhere, headings in order, contrast, names that stay text.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::super::render::STYLE;
use super::*;

/// An element of the body: name and attributes.
type Element = (String, Vec<(String, String)>);

/// The elements of the body in order. The body is well-formed XML too, so that a strict reader can judge it.
fn elements(page: &str) -> Vec<Element> {
    let body = &page[page.find("<body>").unwrap()..page.find("</body>").unwrap() + "</body>".len()];
    let mut reader = Reader::from_str(body);
    let mut found = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) | Event::Empty(start) => {
                let text = |text: &str| text.to_owned();
                let attributes = start.attributes().map(|attribute| {
                    let attribute = attribute.unwrap();
                    (text(attribute.key.as_ref()), text(&attribute.value))
                });
                found.push((text(start.name().as_ref()), attributes.collect()));
            }
            Event::Eof => return found,
            _ => {}
        }
    }
}

fn value<'a>(element: &'a Element, name: &str) -> Option<&'a str> {
    element.1.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Pages of all kinds: shown, open, failed, before the run, with lost files.
fn pages() -> Vec<String> {
    let lost = Room::after(|room| {
        let proof = &mut room.access[0];
        (proof.lost, proof.proven) = (1, false);
        let problems = vec![LostFileProblem { inside: "mail.eml".into(), problem: "no key".into() }];
        proof.bad = vec![LostFile { id: "a.pfile".into(), verdict: AccessVerdict::Lost, problems }];
        proof.sample = Some(SampleBound { sampled: 10, bad: 1, population: 900, confidence: 0.95, share: 0.26, files: 234 });
    });
    let bare = Room::after(|room| {
        (room.tenant, room.verification, room.runs) = (None, None, RunsSeen::default());
        room.access.clear();
        room.approvals.clear();
        room.places.clear();
        room.plan.findings.clear();
    });
    [Room::new().report(), lost, bare].iter().map(Report::to_html).collect()
}

#[test]
fn nothing_comes_from_elsewhere_and_no_script_runs() {
    for page in pages() {
        for element in elements(&page) {
            assert!(
                !["script", "link", "img", "iframe", "object", "embed", "form", "base", "use", "image"].contains(&element.0.as_str()),
                "{element:?}"
            );
            for (name, value) in &element.1 {
                assert!(!name.starts_with("on") && !["src", "srcset", "style"].contains(&name.as_str()), "{element:?}");
                assert!(name != "href" || value.starts_with('#'), "{element:?}");
            }
        }
        assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("<script"));
        assert!(page.contains("default-src 'none'"));
    }
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
}

#[test]
fn headings_are_in_order_and_every_reference_has_its_target() {
    for page in pages() {
        assert!(page.contains("<html lang=\"en\">"));
        let elements = elements(&page);
        let levels: Vec<usize> = elements.iter().filter_map(|(name, _)| name.strip_prefix('h')?.parse().ok()).collect();
        assert_eq!((levels.first(), levels.iter().filter(|level| **level == 1).count()), (Some(&1), 1));
        assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
        let ids: Vec<&str> = elements.iter().filter_map(|element| value(element, "id")).collect();
        let unique: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), unique.len(), "{ids:?}");
        for element in &elements {
            for target in value(element, "aria-labelledby").unwrap_or_default().split_whitespace() {
                assert!(unique.contains(target), "{target}");
            }
            if let Some(target) = value(element, "href") {
                assert!(unique.contains(target.trim_start_matches('#')), "{target}");
            }
        }
        for landmark in ["header", "main", "footer", "nav"] {
            assert_eq!(elements.iter().filter(|(name, _)| name == landmark).count(), 1, "{landmark}");
        }
    }
}

#[test]
fn tables_have_captions_and_scopes_and_pictures_have_words() {
    for page in pages() {
        let elements = elements(&page);
        let count = |wanted: &str| elements.iter().filter(|(name, _)| name == wanted).count();
        assert_eq!(count("table"), count("caption"));
        for element in elements.iter().filter(|(name, _)| name == "th") {
            assert!(matches!(value(element, "scope"), Some("col" | "row")), "{element:?}");
        }
        let (mut pictures, mut named) = (0, 0);
        for (index, element) in elements.iter().enumerate().filter(|(_, (name, _))| name == "svg") {
            if value(element, "aria-hidden") == Some("true") {
                continue;
            }
            pictures += 1;
            named += usize::from(value(element, "role") == Some("img") && elements[index + 1].0 == "title" && elements[index + 2].0 == "desc");
        }
        assert_eq!((pictures, named), (2, 2), "one for wide screens, one for narrow ones");
    }
}

/// The colours of each `:root` block: light, dark, paper.
fn palettes() -> Vec<BTreeMap<&'static str, [f64; 3]>> {
    let blocks = STYLE.split(":root {").skip(1).map(|rest| rest.split('}').next().unwrap());
    blocks
        .map(|block| {
            let colours = block.split(';').filter_map(|line| line.split_once(": #"));
            colours
                .map(|(name, hex)| {
                    assert_eq!(hex.len(), 6, "{hex}");
                    let channel = |at: usize| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
                    (name.trim().trim_start_matches("--"), [channel(0), channel(2), channel(4)])
                })
                .collect()
        })
        .collect()
}

/// Contrast of two colours (WCAG 2.1, relative luminance).
fn contrast(left: [f64; 3], right: [f64; 3]) -> f64 {
    let linear = |channel: f64| if channel <= 0.03928 { channel / 12.92 } else { ((channel + 0.055) / 1.055).powf(2.4) };
    let luminance = |[red, green, blue]: [f64; 3]| 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
    let (left, right) = (luminance(left) + 0.05, luminance(right) + 0.05);
    left.max(right) / left.min(right)
}

#[test]
fn every_text_colour_has_contrast_on_every_ground() {
    const INKS: [&str; 6] = ["ink", "muted", "accent", "good", "open", "bad"];
    const GROUNDS: [&str; 7] = ["page", "card", "soft", "good-soft", "open-soft", "bad-soft", "accent-soft"];
    assert!((contrast([0.0; 3], [1.0; 3]) - 21.0).abs() < 1e-9);
    let palettes = palettes();
    assert_eq!(palettes.len(), 3);
    for palette in &palettes {
        for ground in GROUNDS {
            for ink in INKS {
                let ratio = contrast(palette[ink], palette[ground]);
                assert!(ratio >= 4.5, "{ink} on {ground}: {ratio:.2}");
            }
            let ratio = contrast(palette["edge"], palette[ground]);
            assert!(ratio >= 3.0, "edges on {ground}: {ratio:.2}");
        }
        assert_eq!(palette.len(), INKS.len() + GROUNDS.len() + 2, "a colour that nobody judges");
    }
    // No colour but those, and text in inks only. The line between rows carries no meaning.
    assert_eq!(STYLE.matches('#').count(), palettes.iter().map(BTreeMap::len).sum::<usize>());
    let rules = STYLE.split(['{', ';']).map(str::trim).filter_map(|rule| rule.strip_prefix("color: "));
    for colour in rules {
        let named = colour.strip_prefix("var(--").and_then(|name| name.strip_suffix(')'));
        assert!(named.is_some_and(|name| INKS.contains(&name)) || colour == "inherit", "{colour}");
    }
}

#[test]
fn no_secret_and_no_source_of_one_is_on_the_page() {
    for page in pages() {
        for word in ["file:password", "pin-source", "/pin", "PRIVATE KEY"] {
            assert!(!page.contains(word), "{word}");
        }
    }
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just("<script>alert(1)</script>".to_owned()),
        Just("\"><img src=x onerror=alert(1)>".to_owned()),
        Just("</title></style></svg></table><h1>".to_owned()),
        Just("&lt;b&gt; ]]> <!-- -->".to_owned()),
        Just("\u{202e}gnp.exe \u{0} \u{7}".to_owned()),
        "[<>&'\"/=` a-z]{0,60}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn names_of_any_kind_stay_text(name in hostile(), other in hostile()) {
        let change = |room: &mut Room, name: &str, other: &str| {
            room.plan.organisation = name.to_owned();
            room.plan.tenant.name = other.to_owned();
            room.plan.tenant.folder = name.to_owned();
            for key in &mut room.plan.keys {
                key.licensor_name = name.to_owned();
                key.domains = vec![other.to_owned()];
            }
            room.plan.files[0].path = name.to_owned();
            room.plan.findings[0].message = other.to_owned();
            room.plan.dangers = vec![name.to_owned()];
            room.places[1].source = Some(Err(other.to_owned()));
            let tenant = room.tenant.as_mut().unwrap();
            tenant.templates[0].name = name.to_owned();
            tenant.keys[0].created = other.to_owned();
            tenant.keys[1].licensor_name = name.to_owned();
            for check in &mut room.verification.as_mut().unwrap().checks {
                check.detail = other.to_owned();
            }
            let proof = &mut room.access[0];
            proof.folders = vec![name.to_owned()];
            (proof.lost, proof.proven) = (1, false);
            let problems = vec![LostFileProblem { inside: format!("x{name}"), problem: other.to_owned() }];
            proof.bad = vec![LostFile { id: name.to_owned(), verdict: AccessVerdict::Unknown, problems }];
            room.runs.records[0].what = crate::migration::apply::Event::Started {
                plan: room.plan.hash().unwrap(), program: name.to_owned(), approved_by: vec![other.to_owned()],
            };
        };
        // The same elements and attributes, whatever the names are.
        let shape = |name: &str, other: &str| {
            let page = Room::after(|room| change(room, name, other)).to_html();
            let names = elements(&page).into_iter().map(|(name, attributes)| (name, attributes.into_iter().map(|(name, _)| name).collect::<Vec<_>>()));
            names.collect::<Vec<_>>()
        };
        prop_assert_eq!(shape(&format!("x{name}"), &other), shape("x", "y"));
    }
}
