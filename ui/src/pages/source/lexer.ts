// Source text as tokens, for colours: C, C++, Rust and Python, as well as a glance needs it.
//
// A line at a time; what goes on over the end of a line (a comment, a long string) is carried to the next one. The
// tokens of a line are its text, unchanged, in pieces. Pieces of a file begin in its middle: that they begin outside
// of a comment is assumed, which is wrong for the rest of a comment at most.

export type Kind = 'comment' | 'string' | 'number' | 'keyword' | 'name' | 'directive' | 'plain';

export interface Token {
  kind: Kind;
  text: string;
}

export type Language = 'c' | 'rust' | 'python' | 'none';

/** By the ending of a file's name. */
export function languageOf(file: string): Language {
  if (/\.(c|h|cc|cpp|cxx|c\+\+|hh|hpp|hxx|h\+\+|inl|inc|ipp|tcc|cu|m|mm)$/i.test(file)) return 'c';
  if (/\/(bits|ext|backward|debug|c\+\+\/\d+)\/[^/.]+$/.test(file)) return 'c';
  if (/\.rs$/.test(file)) return 'rust';
  return /\.(py|pyx|pyi|pxd)$/.test(file) ? 'python' : 'none';
}

const words = (text: string) => new Set(text.split(' '));

const KEYWORDS: Record<Language, Set<string>> = {
  c: words(
    'alignas alignof asm auto bool break case catch char class concept const consteval constexpr constinit const_cast ' +
      'continue co_await co_return co_yield decltype default delete do double dynamic_cast else enum explicit export ' +
      'extern false final float for friend goto if inline int long mutable namespace new noexcept nullptr operator ' +
      'override private protected public register reinterpret_cast requires restrict return short signed sizeof ' +
      'static static_assert static_cast struct switch template this thread_local throw true try typedef typeid ' +
      'typename union unsigned using virtual void volatile wchar_t while NULL',
  ),
  rust: words(
    'as async await break const continue crate dyn else enum extern false fn for if impl in let loop match mod move ' +
      'mut pub ref return self Self static struct super trait true type union unsafe use where while bool char str ' +
      'u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64',
  ),
  python: words(
    'False None True and as assert async await break class continue def del elif else except finally for from global ' +
      'if import in is lambda match nonlocal not or pass raise return try while with yield self',
  ),
  none: new Set(),
};

/** What of the line before goes on: the text that ends it, how deep it is nested, and its kind. */
interface Open {
  kind: 'comment' | 'string';
  until: string;
  depth: number;
}

const NUMBER = /^(0[xX][\da-fA-F_']+|0[bB][01_']+|\d[\d_']*(\.\d[\d_]*)?([eE][+-]?\d+)?)[a-zA-Z\d]*/;
const NAME = /^[A-Za-z_$\u0080-\uffff][\w$\u0080-\uffff]*/;
const SPACE = /^\s+/;

/** Tokens of each line. */
export function lex(lines: string[], language: Language): Token[][] {
  if (language === 'none') return lines.map((text) => (text === '' ? [] : [{ kind: 'plain' as const, text }]));
  let open: Open | null = null;
  return lines.map((line) => {
    const [tokens, rest] = lexLine(line, language, open);
    open = rest;
    return tokens;
  });
}

function lexLine(line: string, language: Language, open: Open | null): [Token[], Open | null] {
  const tokens: Token[] = [];
  let at = 0;
  const take = (kind: Kind, length: number) => {
    const last = tokens.at(-1);
    const text = line.slice(at, at + length);
    if (last?.kind === kind) last.text += text;
    else if (text !== '') tokens.push({ kind, text });
    at += length;
  };
  while (at < line.length) {
    if (open) {
      const end = endOf(line, at, open, language);
      take(open.kind, (end ?? line.length) - at);
      if (end !== null) open = null;
      continue;
    }
    const rest = line.slice(at);
    const starts = opening(rest, language);
    if (starts) {
      take(starts.open.kind, starts.length);
      open = starts.open;
      continue;
    }
    const [kind, length] = simple(rest, language, tokens.every((it) => it.text.trim() === ''));
    take(kind, length);
  }
  return [tokens, open];
}

/** Where what is open ends in this line: behind its last character; null where it goes on. */
function endOf(line: string, from: number, open: Open, language: Language): number | null {
  for (let at = from; at < line.length; at++) {
    if (language === 'rust' && open.until === '*/' && line.startsWith('/*', at)) {
      open.depth++;
      at++;
    } else if (line.startsWith(open.until, at)) {
      if (--open.depth === 0) return at + open.until.length;
      at += open.until.length - 1;
    } else if (open.kind === 'string' && open.until.length === 3 && line[at] === '\\') at++;
  }
  return null;
}

/** Something that may go on over lines. */
function opening(rest: string, language: Language): { open: Open; length: number } | null {
  const found = (kind: Open['kind'], until: string, length: number) => ({ open: { kind, until, depth: 1 }, length });
  if (language !== 'python' && rest.startsWith('/*')) return found('comment', '*/', 2);
  if (language === 'python') {
    const match = /^[rRbBuUfF]{0,2}("""|''')/.exec(rest);
    return match && found('string', match[1]!, match[0].length);
  }
  if (language === 'rust') {
    const match = /^b?r(#*)"/.exec(rest);
    return match && found('string', `"${match[1]}`, match[0].length);
  }
  const match = /^(?:u8|[uUL])?R"([^ ()\\]{0,16})\(/.exec(rest);
  return match && found('string', `)${match[1]}"`, match[0].length);
}

/** Something that ends in its line: what it is, and how long. */
function simple(rest: string, language: Language, begins: boolean): [Kind, number] {
  const comment = language === 'python' ? '#' : '//';
  if (rest.startsWith(comment)) return ['comment', rest.length];
  if (language === 'c' && begins && rest[0] === '#') return ['directive', directive(rest)];
  if (language === 'rust' && /^#!?\[/.test(rest)) return ['directive', rest.indexOf(']') + 1 || rest.length];
  if (language === 'python' && begins && rest[0] === '@') return ['directive', rest.length];
  const quoted = text(rest, language);
  if (quoted > 0) return ['string', quoted];
  const number = NUMBER.exec(rest);
  if (number) return ['number', number[0].length];
  const name = NAME.exec(rest);
  if (name) {
    if (KEYWORDS[language].has(name[0])) return ['keyword', name[0].length];
    const called = /^\s*!?\(/.test(rest.slice(name[0].length));
    return [called ? 'name' : 'plain', name[0].length];
  }
  return ['plain', SPACE.exec(rest)?.[0].length ?? 1];
}

/** A directive's word, or all of an `#include`. */
function directive(rest: string): number {
  return /^#\s*include\s*(<[^>]*>|"[^"]*")?/.exec(rest)?.[0].length ?? /^#\s*\w*/.exec(rest)![0].length;
}

/** The length of a string or character that begins here; 0: none does. */
function text(rest: string, language: Language): number {
  const begin = /^(?:[bcfFrRuULB]{1,2}|u8)?(?=["'])/.exec(rest);
  if (!begin) return 0;
  const quote = rest[begin[0].length]!;
  // A Rust lifetime is no character.
  if (language === 'rust' && quote === "'" && !/^b?'(\\.[^']*|[^\\'])'/.test(rest)) return 0;
  for (let at = begin[0].length + 1; at < rest.length; at++) {
    if (rest[at] === '\\') at++;
    else if (rest[at] === quote) return at + 1;
  }
  return rest.length;
}
