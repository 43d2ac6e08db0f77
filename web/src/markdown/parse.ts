import MarkdownIt from 'markdown-it';
import type { Token } from 'markdown-it';
import { safeAddress } from './address';

/** Where "[1]: https://..." points to, by the name as the parser compares it. */
export type Definitions = Record<string, { href: string; title: string }>;

/** CommonMark with GFM's tables, strikethrough and bare links; tasks are made by `convert.ts`. */
const parser = new MarkdownIt({ html: true, linkify: true });
parser.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
parser.validateLink = (url) => safeAddress(url) !== null; // one that fails stays text
parser.normalizeLink = (url) => url;

// What nests deeper than the parser's own limit it would leave out; nobody writes so.
const MARKERS_MAX = 40;
const DEEP = new RegExp(`^(?:[ \\t]*(?:[>*+-]|\\d{1,9}[.)])){${MARKERS_MAX}}`);
const RULE = /^[ \t]*([*_-])(?:[ \t]*\1)*[ \t]*$/;
const LINE = /\r\n|\r|\n/;

/** The tokens of a text, or null where it nests too deeply. Its definitions are added to `known`. */
export function tokens(source: string, known: Definitions): Token[] | null {
    if (source.split(LINE).some((line) => DEEP.test(line) && !RULE.test(line))) return null;
    return parser.parse(source, { references: known });
}

/**
 * Where the last block begins that stands behind a blank line and whose first line is whole: what
 * is before it can not change any more. 0: nowhere.
 */
export function lastBoundary(source: string, blocks: readonly Token[]): number {
    const lines = source.split(LINE);
    for (const block of [...blocks].reverse()) {
        const line = block.map?.[0] ?? 0;
        if (block.level > 0 || block.nesting < 0 || line === 0 || line >= lines.length - 1) continue;
        if (/^[ \t]*$/.test(lines[line - 1] ?? '')) return offsetOf(source, line);
    }
    return 0;
}

function offsetOf(source: string, line: number): number {
    const ends = new RegExp(LINE, 'g');
    for (let i = 0; i < line; ++i) ends.exec(source);
    return ends.lastIndex;
}
