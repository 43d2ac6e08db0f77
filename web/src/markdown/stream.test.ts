import { describe, expect, it } from 'vitest';
import { convert } from './convert';
import type { Block } from './nodes';
import { tokens } from './parse';
import { MarkdownStream } from './stream';

/** The text at once, without chunks: what streaming must come to. */
function whole(text: string): Block[] {
    const found = tokens(text, {});
    return found ? convert(found) : [{ type: 'raw', text }];
}

const TEXTS = [
    '# Title\n\nA *first* paragraph\nof **two** lines.\n\n- a\n- b\n\n  more of b\n\n- c\n\nEnd.',
    'Text\n\n```js\nlet a = 1;\n\n\nb();\n```\n\nafter\n\n~~~\nopen fence\n\n# no heading',
    '| a | b |\n| :- | -: |\n| 1 | **2** |\n| <br> | `x|y` |\n\nafter\n\npara\n| c |\n| - |\n| 3 |\n',
    'See [one], [two][one] and [three].\n\n> quote with [one]\n\n[one]: https://a.example/ "t"\n\nMore [one].\n\n[three]:\n  https://b.example/\n[one]: https://late.example/\n',
    '[d]: https://d.example\n"title over\ntwo lines"\n\n[d] and [e]\n\n> [e]: https://e.example\n\n[e]',
    'Setext\n===\n\nb\n---\n\n- a\n---\nb\n\n* * *\n\n- a\n\n- - -\n- - -x\n\n- - -x',
    '1. one\n\n2. two\n\n   two more\n\n       code\n\n3) other\n\n10. ten\n\n    code?\n\n- [ ] task\n- [x] done\n',
    '<div>\n\n*a*\n\n</div>\n\n<!-- a\n\nb -->\n\n<script>\nx\n\ny</script>\n\na <b>c</b>\n',
    '~~gone~~ www.example.com https://example.com/a?b=c&d mail@example.com <https://x.example> &amp; &copy; \\*\n\n![i](https://h.example/i.png "t") ![r]\n\n[r]: https://h.example/r.png\n',
    'line  \nbreak\\\nagain\r\n\r\ncrlf\r\n\r\n- x\r\n\r\n- y\r\n\r\nz\rz\r\rq',
    '    code first\n\n    more\n\ntext\n\n\ttab\n\n> a\n\n> b\nlazy\n\n>> c\n\n  indented para\n\n   # h',
    '中文**加粗**，`代码`。\n\n第二段 😀 e\u0301\n\n| 甲 | 乙 |\n|---|---|\n| 一 | 二 |\n\n完。',
];

const FRAGMENTS = ['a', ' ', '\n', '\n\n', '- ', '> ', '1. ', '# ', '```', '    ', '|', '-', '*', '[a]', '[a]: https://u', ': ', '<b>', '---', '\t', 'https://x.y', '"', '!', '=', '~~', '\\', '\r\n'];

/** The same numbers everywhere. */
function random(seed: number): () => number {
    let state = seed;
    return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

describe('streaming comes to what the whole text is', () => {
    it.each(TEXTS)('at every split of %j', (text) => {
        const expected = whole(text);
        for (let at = 0; at <= text.length; ++at) {
            const stream = new MarkdownStream();
            stream.update(text.slice(0, at));
            expect(stream.update(text), `split at ${at}`).toEqual(expected);
        }
    });
    it.each(TEXTS)('at every prefix, a character at a time: %j', (text) => {
        const stream = new MarkdownStream();
        for (let at = 0; at <= text.length; ++at) {
            const prefix = text.slice(0, at);
            expect(stream.update(prefix), JSON.stringify(prefix)).toEqual(whole(prefix));
        }
    });
    it('for texts of random pieces', () => {
        const next = random(7);
        for (let round = 0; round < 200; ++round) {
            const stream = new MarkdownStream();
            let text = '';
            for (let i = 0; i < 24; ++i) {
                text += FRAGMENTS[Math.floor(next() * FRAGMENTS.length)] ?? '';
                expect(stream.update(text), JSON.stringify(text)).toEqual(whole(text));
            }
        }
    }, 60_000);
    it('begins anew with another text', () => {
        const stream = new MarkdownStream();
        stream.update(TEXTS[0] ?? '');
        expect(stream.update('# Other')).toEqual(whole('# Other'));
    });
});

it('keeps finished blocks as they are', () => {
    const stream = new MarkdownStream();
    const before = stream.update('# A\n\nfirst\n\nsecond\n\nthi');
    const after = stream.update('# A\n\nfirst\n\nsecond\n\nthird and more\n\nx');
    expect(after).toHaveLength(5);
    for (const i of [0, 1]) expect(after[i]).toBe(before[i]);
    expect(after[3]).not.toBe(before[3]);
});

it('bears what is meant to break it, in time', () => {
    const began = process.cpuUsage();
    const hostile = ['>'.repeat(20000), '- '.repeat(20000), '['.repeat(20000), '*a'.repeat(10000), '`'.repeat(20000),
        '![](' .repeat(5000), '| '.repeat(5000) + '\n' + '|-'.repeat(5000), '<a '.repeat(5000), '[a]: b\n'.repeat(3000),
        '> '.repeat(39) + 'x\n' + '> '.repeat(39) + 'y', '\u0000\uFFFD\uFEFF\u2028', '***'.repeat(5000)];
    for (const text of hostile) expect(new MarkdownStream().update(text).length, text.slice(0, 10)).toBeGreaterThan(-1);
    expect(process.cpuUsage(began).user).toBeLessThan(10e6);
}, 60_000);

it('parses a long answer piece by piece in time', () => {
    const paragraph = 'A sentence with **bold**, `code` and [a link](https://a.example/).\n\n- one\n- two\n\n';
    const text = paragraph.repeat(150);
    const stream = new MarkdownStream();
    const began = process.cpuUsage();
    for (let at = 0; at < text.length; at += 10) stream.update(text.slice(0, at));
    expect(process.cpuUsage(began).user).toBeLessThan(10e6);
}, 60_000);
