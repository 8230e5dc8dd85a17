//! The frame of a page without scripts: one file, nothing loaded from anywhere; and text as HTML, for every page.

use std::fmt;
use std::io::{self, Write};

/// Every page of ours has this in its head: by it a file is known as one that may be replaced.
pub const GENERATOR: &str = "<meta name=\"generator\" content=\"heaptape\">";

/// The most that a browser may do with the page: nothing but show its own styles.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                      form-action 'none'";

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2430;--dim:#5b6675;--line:#d5dae1;--mark:#2b6cb0;--bad:#a61b1b;\
--paper:#fff;--band:#f3f5f8}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--dim:#9aa5b4;--line:#3a4350;--mark:#6cb2f7;\
--bad:#ff8a80;--paper:#14181d;--band:#1d232b}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:76rem;\
margin:2rem auto;padding:0 1rem}\
h1{font-size:1.35rem;overflow-wrap:anywhere}h2{font-size:1.1rem;margin-top:2rem;overflow-wrap:anywhere}\
code,pre,td.n,summary{font-family:ui-monospace,monospace}pre{background:var(--band);padding:.75rem;\
overflow-x:auto}table{border-collapse:collapse}td,th{padding:.2rem .9rem .2rem 0;text-align:left;\
border-bottom:1px solid var(--line);overflow-wrap:anywhere}td.n,th.n{text-align:right;\
font-variant-numeric:tabular-nums}.bad{color:var(--bad);font-weight:600}.dim{color:var(--dim)}\
details{margin:.3rem 0}svg{width:100%;height:auto}svg text{font:12px system-ui,sans-serif;\
fill:var(--dim)}svg .axis{stroke:var(--line)}svg .live{fill:none;stroke:var(--mark);\
stroke-width:1.2}";

/// Everything before the page's content.
pub(crate) fn write_head(out: &mut dyn Write, title: &str) -> io::Result<()> {
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         {GENERATOR}\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        Text(title)
    )
}

/// Everything after it.
pub(crate) fn write_foot(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "</body>\n</html>")
}

/// Text as HTML: safe between tags and in a quoted attribute.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\0' => f.write_char(char::REPLACEMENT_CHARACTER)?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        let hostile = "</title><script>'x'=\"y\"&\0";
        assert_eq!(
            Text(hostile).to_string(),
            "&lt;/title&gt;&lt;script&gt;&#39;x&#39;=&quot;y&quot;&amp;\u{fffd}"
        );
        let mut page = Vec::new();
        write_head(&mut page, hostile).expect("memory takes everything");
        let page = String::from_utf8(page).expect("our own text");
        assert!(!page.contains("<script"));
        assert!(page.contains("default-src 'none'"));
        assert!(!page.contains("http://") && !page.contains("https://"));
    }
}
