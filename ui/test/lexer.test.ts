// The tokens of source lines: together they are the text, and what goes on over lines is carried on.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { languageOf, lex, type Kind, type Language } from '../src/pages/source/lexer.ts';

const CASES: [Language, string[], [Kind, string][]][] = [
  ['c', ['  return x == 0x1fUL; // why'], [['keyword', 'return'], ['number', '0x1fUL'], ['comment', '// why']]],
  ['c', ['#include <map>', 'a = "b\\"c" /* d', 'e */ f(1);'], [['directive', '#include <map>'], ['string', '"b\\"c"'], ['comment', '/* d'], ['comment', 'e */'], ['name', 'f']]],
  ['c', ['R"x(a', ')" b)x" int'], [['string', 'R"x('], ['string', 'a'], ['string', ')" b)x"'], ['keyword', 'int']]],
  ['c', ["'a' != \"unclosed"], [['string', "'a'"], ['string', '"unclosed']]],
  ['rust', ["fn f<'a>(x: &'a str) -> char { '\\n' }"], [['keyword', 'fn'], ['keyword', 'str'], ['keyword', 'char'], ['string', "'\\n'"]]],
  ['rust', ['/* a /* b */ c', '*/ let'], [['comment', '/*'], ['comment', '*/'], ['keyword', 'let']]],
  ['rust', ['#[test] r#"a"b"# println!("x")'], [['directive', '#[test]'], ['string', 'r#"'], ['string', 'a"b"#'], ['name', 'println']]],
  ['python', ['def f(a): """doc', 'if', 'end""" + 1 # c'], [['keyword', 'def'], ['name', 'f'], ['string', '"""'], ['string', 'doc'], ['string', 'if'], ['string', 'end"""'], ['number', '1'], ['comment', '# c']]],
  ['none', ['int x; // no'], [['plain', 'int x; // no']]],
];

for (const [language, lines, expected] of CASES) {
  test(`${language}: ${lines[0]}`, () => {
    const tokens = lex(lines, language);
    tokens.forEach((it, k) => assert.equal(it.map((token) => token.text).join(''), lines[k]));
    for (const [kind, text] of expected) {
      assert.ok(tokens.flat().some((it) => it.kind === kind && it.text.includes(text)), `${kind} ${text} in ${JSON.stringify(tokens)}`);
    }
  });
}

test('any text comes out whole, and in finite time', () => {
  const pieces = ['"', "'", '/*', '*/', '//', '#', '\\', 'R"(', ')"', '"""', 'r#"', '"#', '0x', '1e', ' ', 'ab', '\u202e', '<script>', '\t', '@', '#['];
  let seed = 7;
  const next = (n: number) => (seed = (seed * 48271) % 0x7fffffff) % n;
  for (let round = 0; round < 2000; round++) {
    const lines = Array.from({ length: 1 + next(4) }, () => Array.from({ length: next(12) }, () => pieces[next(pieces.length)]).join(''));
    for (const language of ['c', 'rust', 'python', 'none'] as const) {
      lex(lines, language).forEach((it, k) => assert.equal(it.map((token) => token.text).join(''), lines[k]));
    }
  }
});

test('languages go by the names of files', () => {
  assert.equal(languageOf('/usr/include/c++/12/bits/stl_tree.h'), 'c');
  assert.equal(languageOf('/usr/include/c++/12/vector'), 'c');
  assert.equal(languageOf('src/lib.rs'), 'rust');
  assert.equal(languageOf('a.py'), 'python');
  assert.equal(languageOf('README'), 'none');
});
