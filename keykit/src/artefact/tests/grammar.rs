//! PowerShell by a grammar that others wrote (tree-sitter), and Markdown by a reader that others wrote (pulldown-cmark): what is
//! generated is read back as it was meant.

use pulldown_cmark::{CodeBlockKind, Event, Parser as Markdown, Tag, TagEnd};
use tree_sitter::{Node, Parser};

/// The texts between single quotes in a script or command lines, in order.
///
/// # Errors
/// The place of the first piece that is no PowerShell, or that is missing.
pub(in crate::artefact) fn literals(script: &str) -> Result<Vec<String>, String> {
    let script = script.strip_prefix('\u{feff}').unwrap_or(script);
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_powershell::LANGUAGE.into()).unwrap();
    let tree = parser.parse(script, None).unwrap();
    let mut found = Vec::new();
    walk(tree.root_node(), script, &mut found)?;
    Ok(found)
}

fn walk(node: Node<'_>, script: &str, found: &mut Vec<String>) -> Result<(), String> {
    if node.is_error() || node.is_missing() {
        let place = node.start_position();
        let line = script.lines().nth(place.row).unwrap_or_default();
        return Err(format!("line {}, column {}: {}\n{line}", place.row + 1, place.column + 1, node.kind()));
    }
    if node.kind() == "verbatim_string_characters" {
        let quoted = &script[node.byte_range()];
        found.push(unquoted(quoted).ok_or_else(|| format!("{quoted} has a quote that stands alone"))?);
        return Ok(());
    }
    (0..node.child_count()).try_for_each(|index| walk(node.child(u32::try_from(index).unwrap()).unwrap(), script, found))
}

/// What stands between two quotes. Within, each of the five characters that PowerShell takes for a quote stands twice.
fn unquoted(text: &str) -> Option<String> {
    let is_quote = |character: char| character == '\'' || ('\u{2018}'..='\u{201b}').contains(&character);
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let mut rest = inner.chars();
    let mut found = String::new();
    while let Some(character) = rest.next() {
        found.push(if is_quote(character) { rest.next().filter(|&second| is_quote(second))? } else { character });
    }
    Some(found)
}

/// What a Markdown reader finds.
#[derive(Debug, Default)]
pub(in crate::artefact) struct Read {
    /// Blocks of code, with their language.
    pub(in crate::artefact) blocks: Vec<(String, String)>,
    /// Code within lines.
    pub(in crate::artefact) codes: Vec<String>,
    /// Headings, as text.
    pub(in crate::artefact) headings: Vec<String>,
    /// All other text.
    pub(in crate::artefact) text: String,
    /// Raw HTML: there must be none.
    pub(in crate::artefact) html: Vec<String>,
}

pub(in crate::artefact) fn markdown(text: &str) -> Read {
    let mut read = Read::default();
    let (mut block, mut heading) = (None, None::<String>);
    for event in Markdown::new(text) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => block = Some((language.to_string(), String::new())),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Indented)) => block = Some(("indented".to_owned(), String::new())),
            Event::End(TagEnd::CodeBlock) => read.blocks.extend(block.take()),
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => read.headings.extend(heading.take()),
            Event::Code(code) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&code);
                }
                read.codes.push(code.to_string());
            }
            Event::Text(text) => match (&mut block, &mut heading) {
                (Some((_, block)), _) => block.push_str(&text),
                (None, Some(heading)) => heading.push_str(&text),
                (None, None) => read.text.push_str(&text),
            },
            Event::SoftBreak | Event::HardBreak | Event::End(TagEnd::Paragraph | TagEnd::Item) => read.text.push('\n'),
            Event::Html(html) | Event::InlineHtml(html) => read.html.push(html.to_string()),
            _ => {}
        }
    }
    read
}

#[test]
fn broken_scripts_are_found() {
    let sound = "if ($a) { Set-Text 'LocalMachine' 'it''s' -Name \"$b\" }\n";
    assert_eq!(literals(sound).unwrap(), ["LocalMachine", "it's"]);
    for broken in [
        "if ($a) { Set-Text 'a' 'b'\n",
        "Set-Text 'a\n",
        "Set-Text 'it's'\n",
        "function F([string] $A { 1 }\n",
        "param([int] $Version = )\n",
        "Get-Item | | Remove-Item\n",
        "Set-Item (Get-Item 'a'\n",
        "$list += \n}\n",
    ] {
        assert!(literals(broken).is_err(), "{broken}");
    }
}
