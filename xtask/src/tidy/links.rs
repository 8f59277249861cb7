//! Checks the links of the docs: relative links must lead to a file of the repository, and anchors
//! to a heading.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::files::files;

/// Checks the README, the changelog and all pages under `docs/`.
pub(super) fn check(root: &Path) -> io::Result<Vec<String>> {
    let mut pages = vec![root.join("README.md"), root.join("CHANGELOG.md")];
    pages.extend(files(&root.join("docs"))?);
    let mut found = Vec::new();
    for path in pages.into_iter().filter(|path| is_markdown(path) && path.is_file()) {
        let page = MarkdownPage::read(&fs::read_to_string(&path)?);
        let shown = path.strip_prefix(root).unwrap_or(&path);
        for link in &page.links {
            if let Some(error) = error(root, shown, &page, &link.target)? {
                found.push(format!("{}:{}: {error}: {}", shown.display(), link.line, link.target));
            }
        }
    }
    Ok(found)
}

/// The error of a link in the page at `path`, which is relative to `root`.
fn error(
    root: &Path,
    path: &Path,
    page: &MarkdownPage,
    target: &str,
) -> io::Result<Option<&'static str>> {
    if is_elsewhere(target) {
        return Ok(None);
    }
    let (file, anchor) =
        target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    if file.is_empty() {
        return Ok(anchor
            .filter(|anchor| !page.anchors.contains(*anchor))
            .map(|_| "no such heading here"));
    }
    let Some(file) = resolve(path, file) else {
        return Ok(Some("leads out of the repository"));
    };
    let file = root.join(file);
    if !file.exists() {
        return Ok(Some("no such file"));
    }
    let Some(anchor) = anchor.filter(|_| is_markdown(&file)) else {
        return Ok(None);
    };
    let there = MarkdownPage::read(&fs::read_to_string(&file)?);
    Ok((!there.anchors.contains(anchor)).then_some("no such heading there"))
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

/// Whether a link has a scheme or a host, for example `https://…`, `mailto:…` or `//…`.
fn is_elsewhere(target: &str) -> bool {
    let scheme = target.split(['/', '#', '?']).next().unwrap_or_default();
    scheme.contains(':') || target.starts_with("//")
}

/// The file that a link in the page at `path` names. Both are relative to the root of the
/// repository. Returns nothing for a file outside the repository.
fn resolve(path: &Path, link: &str) -> Option<PathBuf> {
    let (mut file, link) = match link.strip_prefix('/') {
        Some(from_root) => (PathBuf::new(), from_root),
        None => (path.parent()?.to_owned(), link),
    };
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => file.pop().then_some(())?,
            Component::Normal(name) => file.push(name),
            _ => {}
        }
    }
    Some(file)
}

/// The links and anchors of a Markdown page.
#[derive(Default)]
struct MarkdownPage {
    links: Vec<MarkdownLink>,
    anchors: HashSet<String>,
}

struct MarkdownLink {
    line: usize,
    target: String,
}

impl MarkdownPage {
    fn read(markdown: &str) -> Self {
        let mut page = Self::default();
        let mut heading: Option<String> = None;
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (event, range) in
            Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_GFM)
                .into_offset_iter()
        {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    let line = markdown[..range.start].matches('\n').count() + 1;
                    page.links.push(MarkdownLink { line, target: dest_url.into_string() });
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::End(TagEnd::Heading(_)) => {
                    let slug = slug(&heading.take().unwrap_or_default());
                    // The second heading of the same name gets the suffix `-1`, the third `-2`.
                    let before = seen.entry(slug.clone()).or_default();
                    page.anchors.insert(if *before == 0 {
                        slug
                    } else {
                        format!("{slug}-{before}")
                    });
                    *before += 1;
                }
                // A whole block at once: a tag may span several lines.
                Event::Start(Tag::HtmlBlock) | Event::InlineHtml(_) => {
                    page.read_html(markdown, range);
                }
                _ => {}
            }
        }
        page
    }

    /// Reads the links and anchors of the HTML at `range`.
    fn read_html(&mut self, markdown: &str, range: Range<usize>) {
        let begin = range.start;
        for (at, tag) in tags(&markdown[range]) {
            let line = markdown[..begin + at].matches('\n').count() + 1;
            for (name, value) in attributes(tag) {
                match name.to_ascii_lowercase().as_str() {
                    "id" | "name" => {
                        self.anchors.insert(value.to_owned());
                    }
                    "href" | "src" => {
                        self.links.push(MarkdownLink { line, target: value.to_owned() });
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The anchor that GitHub gives to a heading.
fn slug(heading: &str) -> String {
    let kept = |char: &char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_');
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(kept)
        .map(|char| if char == ' ' { '-' } else { char })
        .collect()
}

/// The text between each `<` and `>` in a piece of HTML, and its position; without comments.
fn tags(html: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = html[at..].find('<') {
        at += open + 1;
        let rest = &html[at..];
        let (end, is_tag) = if rest.starts_with("!--") {
            (rest.find("-->"), false)
        } else {
            (rest.find('>'), true)
        };
        let end = end.unwrap_or(rest.len());
        if is_tag {
            found.push((at, &rest[..end]));
        }
        at += end;
    }
    found
}

/// The attributes of a tag with their values. Those without a value are left out.
fn attributes(tag: &str) -> Vec<(&str, &str)> {
    let ends_name = |char: char| char.is_whitespace() || char == '=';
    let mut found = Vec::new();
    let (_, mut rest) = split(tag, ends_name);
    while !rest.is_empty() {
        let (name, after) = split(rest.trim_start(), ends_name);
        let Some(value) = after.trim_start().strip_prefix('=').map(str::trim_start) else {
            rest = after;
            continue;
        };
        let quote = value.chars().next().filter(|char| matches!(char, '"' | '\''));
        let (value, after) = match quote {
            Some(quote) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
            None => split(value, char::is_whitespace),
        };
        found.push((name, value));
        rest = after;
    }
    found
}

/// Splits a text before the first character that is an end.
fn split(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(is_end).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a repository of these files.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        check(root.path()).unwrap()
    }

    #[test]
    fn working_links_pass() {
        let found = found(&[
            (
                "README.md",
                "# Roots\n[a](docs/api.md) [b](docs/api.md#a-list) [c](#roots) [d](docs/) [e][ref] [f](/LICENSE)\n\
                 ![g](docs/a.png) [h](https://example.org/x#y) [i](mailto:a@example.org) [j](docs/api.md#by-hand)\n\n\
                 [ref]: docs/adr/0001.md\n",
            ),
            ("LICENSE", ""),
            ("docs/a.png", ""),
            ("docs/api.md", "## A list\n[up](../README.md#roots)\n\n<a id=\"by-hand\"></a>\n"),
            ("docs/adr/0001.md", "[up](../api.md)"),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn a_link_to_a_missing_file_is_found_with_its_line() {
        let found =
            found(&[("README.md", "# Roots\n\n[a](docs/none.md) and [b](docs/none.md#x)\n")]);
        assert_eq!(
            found,
            [
                "README.md:3: no such file: docs/none.md",
                "README.md:3: no such file: docs/none.md#x"
            ]
        );
    }

    #[test]
    fn dead_links_of_every_kind_are_found_in_every_page() {
        let found = found(&[
            ("CHANGELOG.md", "[a](none.md)"),
            ("docs/a.md", "![a](none.png)"),
            ("docs/adr/0001.md", "[a][ref]\n\n[ref]: none.md\n"),
        ]);
        assert_eq!(found.len(), 3, "{found:?}");
    }

    #[test]
    fn dead_links_are_found_in_html() {
        let found = found(&[
            (
                "README.md",
                "See <a href=\"gone.md\">it</a>.\n\n<p align='center'>\n  <img alt=\"a\"\n    src='gone.png'>\n  \
                 <A HREF=gone.md#x>a</A>\n  <a href=\"#none\">b</a>\n</p>\n",
            ),
            ("docs/a.md", "> <img src=\"gone.svg\"/>\n"),
        ]);
        assert_eq!(
            found,
            [
                "README.md:1: no such file: gone.md",
                "README.md:4: no such file: gone.png",
                "README.md:6: no such file: gone.md#x",
                "README.md:7: no such heading here: #none",
                "docs/a.md:1: no such file: gone.svg",
            ]
        );
    }

    #[test]
    fn working_links_in_html_pass() {
        let found = found(&[
            (
                "README.md",
                "<a hidden id = 'here' href=\"docs/a.md\">a</a> <a href=\"#here\">b</a> <a href=\"https://x.example/y\">c</a>\n\n\
                 <!-- <a href=\"gone.md\"> -->\n\n`<a href=\"gone.md\">`\n\n<p>href=\"gone.md\"</p>\n",
            ),
            ("docs/a.md", ""),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn a_dead_anchor_is_found_in_the_same_page_and_in_others() {
        let found =
            found(&[("README.md", "[a](#none)\n[b](docs/a.md#none)\n"), ("docs/a.md", "# A\n")]);
        assert_eq!(
            found,
            [
                "README.md:1: no such heading here: #none",
                "README.md:2: no such heading there: docs/a.md#none"
            ]
        );
    }

    #[test]
    fn a_link_out_of_the_repository_is_found() {
        assert_eq!(
            found(&[("docs/a.md", "[a](../../x.md)")]),
            ["docs/a.md:1: leads out of the repository: ../../x.md"]
        );
    }

    #[test]
    fn links_and_headings_in_code_are_ignored() {
        let page =
            MarkdownPage::read("`[a](none.md)`\n\n```text\n# No heading\n[a](none.md)\n```\n");
        assert!(page.links.is_empty() && page.anchors.is_empty());
    }

    #[test]
    fn headings_get_the_same_anchors_as_on_github() {
        assert_eq!(slug("Where to read on"), "where-to-read-on");
        assert_eq!(slug("`GET /sessions/{id}` — one session"), "get-sessionsid--one-session");
        assert_eq!(slug("Größe_1, v2.0!"), "größe_1-v20");
        let page = MarkdownPage::read("# Use\n## `Use`\n## *Use*\n");
        assert_eq!(page.anchors, ["use", "use-1", "use-2"].map(str::to_owned).into());
    }
}
