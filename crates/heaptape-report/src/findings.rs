//! What stands out, as sentences: for the terminal, for JSON and for the page.
//!
//! This is the one place where the parts of a finding become English.

use crate::canvas::{Canvas, Ink};
use crate::ending;
use crate::errors;
use crate::sites;
use crate::text;
use crate::units;
use heaptape_analysis::Site;
use heaptape_analysis::findings::{Check, Finding, Findings, Link, Page, Part, Rule, Severity};
use heaptape_analysis::names::file_name;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Columns of a severity in the terminal.
const SEVERITY: usize = 6;

/// What stands out, with sentences, as JSON and the page have it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FindingsDocument<'a> {
    /// The gravest first.
    pub found: Vec<FindingDocument<'a>>,
    /// Less important ones that are not in the list.
    pub more: u64,
    /// What was looked for: a sentence a rule.
    pub checked: Vec<String>,
    /// What could not be looked for, and why.
    pub unchecked: Vec<String>,
}

/// One finding: `Finding` of `ui/src/data/types.ts`, and its parts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FindingDocument<'a> {
    /// The rule, as docs/findings.md names it.
    pub rule: Rule,
    /// How much it matters.
    pub severity: Severity,
    /// The whole sentence.
    pub sentence: String,
    /// `function file:line`; empty where it is of no place.
    pub place: String,
    /// Bytes that it is about; 0: of none.
    pub bytes: u64,
    /// Pages with the state to show it in.
    pub links: Vec<LinkDocument>,
    /// The sentence in parts.
    pub parts: &'a [Part],
    /// The call site; `null`: of no place.
    pub site: Option<&'a Site>,
}

/// A page, and params of its address: `m` metric, `t` moment in events, `q` filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkDocument {
    /// Which page.
    pub page: Page,
    /// Key and value.
    pub params: BTreeMap<&'static str, String>,
}

/// Findings with their sentences.
pub fn document(findings: &Findings) -> FindingsDocument<'_> {
    FindingsDocument {
        found: findings.found.iter().map(finding_document).collect(),
        more: findings.more,
        checked: findings.checked.iter().map(check_sentence).collect(),
        unchecked: findings.unchecked.iter().map(check_sentence).collect(),
    }
}

fn finding_document(finding: &Finding) -> FindingDocument<'_> {
    let site = finding.site.as_ref();
    let place = site.and_then(|site| site.frame.as_ref()).map(|frame| {
        let place = match (&frame.file, frame.line) {
            (Some(file), 0) => file_name(file).to_owned(),
            (Some(file), line) => format!("{}:{line}", file_name(file)),
            (None, _) => {
                frame.module.as_ref().map_or(String::new(), |module| format!("[{module}]"))
            }
        };
        format!("{} {place}", frame.short).trim_end().to_owned()
    });
    FindingDocument {
        rule: finding.rule,
        severity: finding.severity,
        sentence: sentence(finding),
        place: place.unwrap_or_default(),
        // The gravest come first by a number that is no size.
        bytes: if finding.bytes == u64::MAX { 0 } else { finding.bytes },
        links: finding.links.iter().map(|link| link_document(link, site)).collect(),
        parts: &finding.parts,
        site,
    }
}

fn link_document(link: &Link, site: Option<&Site>) -> LinkDocument {
    let mut params = BTreeMap::new();
    if let Some(metric) = link.metric {
        params.insert("m", metric.to_owned());
    }
    if let Some(event) = link.at {
        params.insert("t", event.to_string());
    }
    let function = site.filter(|_| link.of_site).and_then(|site| site.frame.as_ref());
    let words = [
        function.map(|frame| format!("fn:{}", quoted(&frame.short))),
        link.size.map(|size| format!("size:{size}")),
    ];
    let filter: Vec<String> = words.into_iter().flatten().collect();
    if !filter.is_empty() {
        params.insert("q", filter.join(" "));
    }
    LinkDocument { page: link.page, params }
}

/// A word of a filter: quoted where it has spaces or quotes.
fn quoted(word: &str) -> Cow<'_, str> {
    if word.chars().any(|c| c.is_whitespace() || c == '"' || c == '\\') {
        let escaped = word.replace('\\', "\\\\").replace('"', "\\\"");
        Cow::Owned(format!("\"{escaped}\""))
    } else {
        Cow::Borrowed(word)
    }
}

/// The sentence of a finding, with the name of its function as it is: not escaped.
pub fn sentence(finding: &Finding) -> String {
    let function = finding.site.as_ref().map_or(Cow::Borrowed(""), |site| match &site.frame {
        Some(frame) => Cow::Borrowed(&*frame.short),
        None => Cow::Borrowed("code without a backtrace"),
    });
    english(&finding.parts, &function)
}

/// The sentence of what was looked for.
pub fn check_sentence(check: &Check) -> String {
    english(&check.parts, "")
}

fn english(parts: &[Part], site: &str) -> String {
    let words = parts.iter().map(|part| match part {
        Part::Text(words) => words.clone(),
        Part::Bytes(bytes) => units::bytes(*bytes),
        Part::Count { number, one } => units::counted(*number, one),
        Part::Share { part, whole: 100 } => format!("{part} %"),
        Part::Share { part, whole } => units::share(*part, *whole),
        Part::TimeNs(ns) => units::seconds(*ns),
        Part::DurationNs(ns) => units::duration(*ns),
        Part::Signal(signal) => ending::signal_name(*signal),
        Part::Errors(count) => errors::kind_count(count),
        Part::Site => site.to_owned(),
    });
    words.collect()
}

/// The word for a severity.
fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "high",
        Severity::Medium => "medium",
        Severity::Low => "low",
    }
}

/// Writes what stands out, a sentence each with its place; where nothing does, that.
pub fn render_findings(
    out: &mut dyn Write,
    canvas: &Canvas,
    findings: &Findings,
) -> io::Result<()> {
    if findings.found.is_empty() {
        let words = format!(
            "Nothing stands out: {} found nothing",
            units::counted(findings.checked.len() as u64, "rule")
        );
        let unchecked = findings.unchecked.len() as u64;
        let not_asked = match unchecked {
            0 => String::new(),
            _ => format!(", {unchecked} could not be asked"),
        };
        return writeln!(out, "\n{}", canvas.paint(Ink::Faint, &(words + &not_asked)));
    }
    writeln!(out, "\n{}", canvas.paint(Ink::Strong, "Findings"))?;
    findings.found.iter().try_for_each(|finding| render_finding(out, canvas, finding))?;
    if findings.more > 0 {
        writeln!(out, "  {} more", units::count(findings.more))?;
    }
    Ok(())
}

fn render_finding(out: &mut dyn Write, canvas: &Canvas, finding: &Finding) -> io::Result<()> {
    let frame = finding.site.as_ref().and_then(|site| site.frame.as_ref());
    let mut words = match frame {
        // A name that is as long as the line leaves no room for what is said of it.
        Some(_) => {
            let name = text::shrink(canvas, &sites::name(canvas, frame), canvas.width.max(60) / 2);
            english(&finding.parts, &name)
        }
        None => text::shown(canvas, &sentence(finding)),
    };
    let place = sites::place(canvas, frame);
    if !place.is_empty() {
        words.push_str(&format!(" ({place})"));
    }
    const BEFORE: usize = 2 + SEVERITY + 2;
    let room = canvas.width.saturating_sub(BEFORE).max(20);
    let ink = if finding.severity == Severity::High { Ink::Warning } else { Ink::Faint };
    let severity = canvas.paint(ink, &text::left(word(finding.severity), SEVERITY));
    for (index, line) in text::wrap_words(&words, 0, room).iter().enumerate() {
        match index {
            0 => writeln!(out, "  {severity}  {line}")?,
            _ => writeln!(out, "{}{line}", " ".repeat(BEFORE))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use heaptape_analysis::Frame;

    fn finding(function: &str) -> Finding {
        let frame = Frame {
            function: function.into(),
            short: function.into(),
            file: Some("/src/a.c".into()),
            line: 7,
            module: None,
            inlined: false,
            why: None,
            named: true,
        };
        let text = |words: &str| Part::Text(words.to_owned());
        let share = Part::Share { part: 1, whole: 3 };
        Finding {
            rule: Rule::PeakShare,
            severity: Severity::Low,
            parts: vec![share, text(" of "), Part::Site, text(" is "), Part::Bytes(2048)],
            site: Some(Site { frame: Some(frame) }),
            bytes: 2048,
            links: vec![Link {
                page: Page::Blocks,
                metric: Some("live"),
                at: Some(12),
                of_site: true,
                size: Some(40),
            }],
        }
    }

    #[test]
    fn a_sentence_a_place_and_a_link() {
        let finding = finding("f");
        let document = finding_document(&finding);
        assert_eq!(document.sentence, "33.3 % of f is 2.00 KiB");
        assert_eq!(document.place, "f a.c:7");
        let params = document.links[0].params.iter().map(|(key, value)| format!("{key}={value}"));
        assert_eq!(params.collect::<Vec<_>>(), ["m=live", "q=fn:f size:40", "t=12"]);
    }

    /// Names of functions are input.
    #[test]
    fn a_name_cannot_leave_its_word_or_its_line() {
        let hostile = finding("a \"b\\\x1b[31m\n");
        let document = finding_document(&hostile);
        assert!(document.links[0].params["q"].starts_with("fn:\"a \\\"b\\\\"));
        let findings = Findings { found: vec![hostile], ..Findings::default() };
        let mut out = Vec::new();
        let canvas = Canvas { width: 80, color: false, unicode: true };
        render_findings(&mut out, &canvas, &findings).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains('\x1b') && text.lines().count() == 3, "{text}");
    }

    #[test]
    fn every_rule_is_explained() {
        let explained = include_str!("../../../docs/findings.md");
        for rule in Rule::ALL {
            assert!(explained.contains(&format!("`{}`", rule.name())), "{}", rule.name());
        }
    }
}
