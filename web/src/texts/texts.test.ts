import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { en } from './en';
import { pickLanguage } from './pick';
import { zh } from './zh';

it('picks what was kept, then what the browser prefers, then English', () => {
    expect(pickLanguage('zh', ['en'])).toBe('zh');
    expect(pickLanguage(null, ['fr-FR', 'zh-Hant-TW', 'en'])).toBe('zh');
    expect(pickLanguage(null, ['en-GB', 'zh'])).toBe('en');
    expect(pickLanguage('xx', ['fr'])).toBe('en');
    expect(pickLanguage('toString', [])).toBe('en');
});

it('has words everywhere', () => {
    const leaves = (value: unknown): unknown[] =>
        typeof value === 'object' && value !== null ? Object.values(value).flatMap(leaves) : [value];
    for (const texts of [en, zh])
        for (const leaf of leaves(texts)) if (typeof leaf !== 'function') expect(leaf).toMatch(/\S/);
    expect(zh.examples).toHaveLength(en.examples.length);
});

it('never makes markup from text', () => {
    const folder = new URL('../', import.meta.url);
    const files = readdirSync(folder, { recursive: true }) as string[];
    const sources = files.filter((name) => /\.(svelte|ts)$/.test(name) && !name.includes('.test.'));
    expect(sources.length).toBeGreaterThan(10);
    for (const name of sources)
        expect(readFileSync(new URL(name, folder), 'utf8'), name).not.toMatch(/@html|innerHTML|outerHTML|insertAdjacent/);
});
