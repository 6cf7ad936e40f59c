//! The book of docs/: every page is a chapter, and every link leads somewhere.

use std::collections::BTreeSet;
use std::fs;

use keykit_tests::documentation::{Page, pages, project};

/// Targets of links, with the number of their line. Code is left out.
fn links(page: &Page) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, _, line) in page.lines().filter(|(_, fenced, _)| !fenced) {
        let text: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
        found.extend(text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| (number, target.to_owned())));
    }
    found
}

/// The anchors of a page: its headings, as GitHub and mdBook name them.
fn anchors(text: &str) -> BTreeSet<String> {
    let page = Page { path: String::new(), text: text.to_owned() };
    let headings = page.lines().filter(|(_, fenced, line)| !fenced && line.starts_with('#'));
    headings.map(|(_, _, line)| anchor(line.trim_start_matches('#').trim())).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|character| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_'));
    kept.map(|character| if character == ' ' { '-' } else { character }).collect::<String>().to_lowercase()
}

#[test]
fn every_page_is_a_chapter() {
    let summary = fs::read_to_string(project().join("docs/SUMMARY.md")).unwrap();
    for page in pages() {
        let Some(name) = page.path.strip_prefix("docs/").filter(|name| *name != "SUMMARY.md") else { continue };
        let count = summary.matches(&format!("]({name})")).count();
        assert_eq!(count, 1, "docs/SUMMARY.md needs one line `- [TITLE]({name})`; a chapter that stands there without a file is `- [TITLE]()`");
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    for page in pages() {
        let folder = project().join(&page.path).parent().unwrap().to_owned();
        for (number, target) in links(&page) {
            if target.is_empty() || target.contains("://") {
                continue;
            }
            count += 1;
            // A book holds its own pages only.
            assert!(!page.path.starts_with("docs/") || !target.starts_with(".."), "{}:{number}: {target} is not in the book", page.path);
            let (file, place) = target.split_once('#').map_or((target.as_str(), None), |(file, place)| (file, Some(place)));
            let path = if file.is_empty() { project().join(&page.path) } else { folder.join(file) };
            assert!(path.exists(), "{}:{number}: there is no {target}", page.path);
            if let Some(place) = place {
                let known = anchors(&fs::read_to_string(&path).unwrap());
                assert!(known.contains(place), "{}:{number}: {file} has no #{place}, but {known:?}", page.path);
            }
        }
    }
    assert!(count > 60, "{count}");
}

#[test]
fn nothing_of_a_machine_is_in_the_pages() {
    for page in pages() {
        for word in ["/work/", "/tmp/", "/home/", "/root/"] {
            assert!(!page.text.contains(word), "{}: {word}", page.path);
        }
    }
}

#[test]
fn anchors_are_those_of_headings() {
    assert_eq!(anchor("What is proven, and what is not"), "what-is-proven-and-what-is-not");
    assert_eq!(anchor("The file (`keykit/store-doctor/1`)"), "the-file-keykitstore-doctor1");
    assert_eq!(anchors("# A b\n```\n# not\n```\n## C").into_iter().collect::<Vec<_>>(), ["a-b", "c"]);
    let page = Page { path: String::new(), text: "[a](b.md#c) `[x](y)` [d](<e>)\n```\n[n](o)\n```".into() };
    assert_eq!(links(&page), [(1, "b.md#c".to_owned()), (1, "<e>".to_owned())]);
}
