// @vitest-environment jsdom
import { flushSync, mount, unmount } from 'svelte';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { addressee, safeAddress } from '../../markdown/address';
import { highlight } from '../../markdown/highlight';
import { address } from '../dialogs/address.svelte';
import Markdown from './Markdown.svelte';
import { Growing } from './growing.svelte';

let shown: Record<string, unknown> | undefined;
beforeEach(() => document.body.replaceChildren());
afterEach(async () => {
    if (shown) await unmount(shown);
    shown = undefined;
    address.asked = null;
});

function show(text: string): HTMLElement {
    document.body.replaceChildren();
    shown = mount(Markdown, { target: document.body, props: { text } });
    flushSync();
    return document.querySelector('.markdown') as HTMLElement;
}

const HOSTILE = [
    '<script>alert(1)</script>',
    '<img src=x onerror=alert(1)>',
    '<svg onload=alert(1)><a xlink:href="javascript:alert(1)">x</a></svg>',
    '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    '<a href="javascript:alert(1)">x</a>',
    '<style>@import "http://evil.example/x.css"; * { background: url(http://evil.example) }</style>',
    '<link rel=stylesheet href=http://evil.example/x.css>',
    '<meta http-equiv=refresh content="0;url=http://evil.example">',
    '<form action=http://evil.example><input autofocus onfocus=alert(1)><button>x</button></form>',
    '<object data=http://evil.example></object><embed src=http://evil.example>',
    '<video src=http://evil.example autoplay onerror=alert(1)></video>',
    '<base href=http://evil.example>',
    '<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>',
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    '<details open ontoggle=alert(1)>',
    '<template><script>alert(1)</script></template>',
    '[x](javascript:alert(1))',
    '[x](JaVaScRiPt:alert(1))',
    '[x](java\nscript:alert(1))',
    '[x](&#106;avascript:alert(1))',
    '[x](javascript&colon;alert(1))',
    '[x](\u0001javascript:alert(1))',
    '[x](%6Aavascript:alert(1))',
    '[x](vbscript:alert(1))',
    '[x](data:text/html,<script>alert(1)</script>)',
    '[x](blob:http://evil.example/1)',
    '[x](file:///etc/passwd)',
    '[x](//evil.example/x)',
    '[x](../sessions)',
    '[x](#/s/sess_1)',
    '[x][1]\n\n[1]: javascript:alert(1)',
    '<javascript:alert(1)>',
    '![x](javascript:alert(1))',
    '![x](http://evil.example/x.png)',
    '![x](//evil.example/x.png)',
    '![x](data:image/svg+xml,<svg onload=alert(1)>)',
    '![x][1]\n\n[1]: http://evil.example/x.png',
    '[![x](http://evil.example/x.png)](http://evil.example)',
    'http://evil.example/"onmouseover="alert(1)',
    '[x](http://evil.example/"onmouseover="alert(1))',
    '[x](http://evil.example "title\\" onclick=\\"alert(1)")',
    '```html\n<img src=x onerror=alert(1)>\n```',
    '```"><img src=x onerror=alert(1)>\nx\n```',
    '`<img src=x onerror=alert(1)>`',
    '| <img src=x onerror=alert(1)> |\n|-|\n| <script>alert(1)</script> |',
    '# <img src=x onerror=alert(1)>',
    '- [ ] <img src=x onerror=alert(1)>',
    '{@html "<img src=x onerror=alert(1)>"} {{constructor.constructor("alert(1)")()}}',
];

/** What an answer may become. Nothing in here loads, runs or leads anywhere by itself. */
const HARMLESS = new Set(['P', 'UL', 'OL', 'LI', 'BLOCKQUOTE', 'HR', 'BR', 'STRONG', 'EM', 'DEL', 'CODE', 'PRE', 'FIGURE',
    'FIGCAPTION', 'SPAN', 'DIV', 'TABLE', 'THEAD', 'TBODY', 'TR', 'TH', 'TD', 'H3', 'H4', 'H5', 'H6', 'BUTTON', 'INPUT', 'svg', 'path']);
const ATTRIBUTES = /^(class|title|role|tabindex|start|type|checked|disabled|aria-[a-z]+|viewBox|width|height|d)$/;

it.each(HOSTILE)('shows %j as text', (text) => {
    const fetched = vi.spyOn(globalThis, 'fetch');
    const frame = show(text);
    for (const element of frame.querySelectorAll('*')) {
        expect(HARMLESS.has(element.tagName), element.outerHTML).toBe(true);
        for (const { name } of element.attributes) expect(name, element.outerHTML).toMatch(ATTRIBUTES);
        if (element.tagName === 'INPUT') expect(element).toHaveProperty('type', 'checkbox');
    }
    for (const one of frame.querySelectorAll<HTMLElement>('[role=link], .image')) {
        one.click();
        expect(address.asked).toMatch(/^(https?:\/\/|mailto:)/);
    }
    expect(fetched).not.toHaveBeenCalled();
});

it('keeps raw HTML to the letter, but for a line break', () => {
    expect(show('<b onclick="x">a</b>\n\n<div>\n  <i>\n</div>').textContent).toBe('<b onclick="x">a</b><div>\n  <i>\n</div>');
    expect(show('a<br>b').querySelectorAll('br')).toHaveLength(1);
});

it('asks before a link or an image is opened', () => {
    const frame = show('[text](https://a.example/x?y=1) ![alt](http://b.example/i.png)');
    expect(frame.querySelector('a, img')).toBe(null);
    const link = frame.querySelector<HTMLElement>('[role=link]');
    link?.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
    expect(address.asked).toBe('https://a.example/x?y=1');
    const image = frame.querySelector<HTMLElement>('button');
    expect(image?.textContent).toMatch(/b\.example: alt$/);
    image?.click();
    expect(address.asked).toBe('http://b.example/i.png');
});

it('shows what Markdown has', () => {
    const frame = show('# H\n\n**b** *i* ~~d~~ `c`\n\n3. x\n4. y\n\n- [x] t\n\n> q\n\n| l | r |\n|:-|-:|\n| 1 | 2 |\n\n```python\ndef f(): return "s"\n```\n\n***');
    for (const one of ['h3', 'p strong', 'em', 'del', 'p code', 'ol[start="3"] li', 'li.task input:checked', 'blockquote p',
        'th', 'td.right', 'pre code .hljs-keyword', 'pre code .hljs-string', 'figure .copy, figcaption', 'hr'])
        expect(frame.querySelector(one), one).not.toBe(null);
    expect(frame.querySelector('pre')?.textContent).toBe('def f(): return "s"');
});

it('changes only the block that grows', () => {
    const growing = new Growing('# H\n\nfirst\n\nsec');
    shown = mount(Markdown, { target: document.body, props: growing });
    flushSync();
    const frame = document.querySelector('.markdown') as HTMLElement;
    const [heading, first, second] = frame.children;
    const watch = new MutationObserver(() => undefined);
    watch.observe(frame, { subtree: true, childList: true, characterData: true });
    growing.text += 'ond **bo';
    flushSync();
    growing.text += 'ld**\n\nthird';
    flushSync();
    const changed = watch.takeRecords().map((record) => record.target);
    expect([...frame.children].slice(0, 3)).toEqual([heading, first, second]);
    expect(frame.textContent).toBe('Hfirstsecond boldthird');
    expect(changed.length).toBeGreaterThan(0);
    for (const node of changed) expect(heading?.contains(node) || first?.contains(node)).toBe(false);
});

it('knows addresses', () => {
    expect(safeAddress('https://a.example')).toBe('https://a.example/');
    expect(addressee('mailto:me@a.example?subject=x')).toBe('me@a.example');
    expect(addressee('http://user:pw@a.example:81/x')).toBe('a.example:81');
});

it('colours what it knows, and loses nothing', () => {
    const code = '#include <x>\nint main() { return 0; } // end';
    expect(highlight(code, 'C++').length).toBeGreaterThan(3);
    for (const language of ['cpp', 'js', 'nothing', '']) expect(highlight(code, language).map((span) => span.text).join('')).toBe(code);
    expect(highlight('x'.repeat(40_000), 'js')).toHaveLength(1);
});
