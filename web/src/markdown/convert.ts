import type { Token } from 'markdown-it';
import { safeAddress } from './address';
import type { Align, Block, Inline, ListItem } from './nodes';

const DEPTH_MAX = 200; // the parser's own limit is lower
const TASK = /^\[([ xX])\][ \t\u00a0]+/;

/** Reads the parser's flat tokens as a tree. One reader for one list of tokens. */
class Reader {
    private at = 0;

    constructor(private readonly tokens: readonly Token[]) {}

    /** Up to the token that closes what is open, which is passed over too. */
    private *until(depth: number): Generator<Token> {
        if (depth > DEPTH_MAX) this.at = this.tokens.length;
        while (this.at < this.tokens.length) {
            const token = this.tokens[this.at++] as Token;
            if (token.nesting < 0) return;
            yield token;
        }
    }

    blocks(depth = 0): Block[] {
        const out: Block[] = [];
        for (const token of this.until(depth)) {
            const block = this.block(token, depth + 1);
            if (block) out.push(block);
        }
        return out;
    }

    private block(token: Token, depth: number): Block | null {
        switch (token.type) {
            case 'paragraph_open':
                return { type: 'paragraph', children: this.content(depth) };
            case 'heading_open':
                return { type: 'heading', depth: Number(token.tag.slice(1)), children: this.content(depth) };
            case 'fence':
            case 'code_block':
                return { type: 'code', language: /^\S*/.exec(token.info.trim())?.[0] ?? '', text: token.content.replace(/\n$/, '') };
            case 'blockquote_open':
                return { type: 'quote', children: this.blocks(depth) };
            case 'bullet_list_open':
            case 'ordered_list_open':
                return this.list(token, depth);
            case 'table_open':
                return this.table(depth);
            case 'hr':
                return { type: 'rule' };
            default:
                return { type: 'raw', text: token.content.replace(/\n$/, '') };
        }
    }

    private list(token: Token, depth: number): Block {
        const items: ListItem[] = [];
        let tight = true;
        for (const item of this.until(depth)) {
            const paragraph = this.tokens[this.at];
            // A loose list shows its paragraphs.
            if (paragraph?.type === 'paragraph_open' && !paragraph.hidden) tight = false;
            if (item.nesting > 0) items.push(task(this.blocks(depth + 1)));
        }
        const start = Number(token.attrGet('start') ?? 1);
        return { type: 'list', ordered: token.type === 'ordered_list_open', start, tight, items };
    }

    private table(depth: number): Block {
        const rows: Inline[][][] = [];
        let align: Align[] = [];
        for (const section of this.until(depth)) {
            if (section.nesting < 1) continue;
            for (const row of this.until(depth)) {
                if (row.nesting < 1) continue;
                const cells: Inline[][] = [];
                const aligns: Align[] = [];
                for (const cell of this.until(depth)) {
                    const style = String(cell.attrGet('style') ?? '');
                    aligns.push((/left|right|center/.exec(style)?.[0] ?? null) as Align);
                    cells.push(this.content(depth));
                }
                if (rows.length === 0) align = aligns;
                rows.push(cells);
            }
        }
        const [head = [], ...rest] = rows;
        return { type: 'table', align, head, rows: rest };
    }

    private content(depth: number): Inline[] {
        const out: Inline[] = [];
        for (const token of this.until(depth)) out.push(...new Reader(token.children ?? []).inlines());
        return out;
    }

    private inlines(depth = 0): Inline[] {
        const out: Inline[] = [];
        for (const token of this.until(depth)) {
            const inline = this.inline(token, depth + 1);
            const last = out.at(-1);
            if (inline.type === 'text' && inline.text === '') continue;
            if (inline.type === 'text' && last?.type === 'text') last.text += inline.text;
            else out.push(inline);
        }
        return out;
    }

    private inline(token: Token, depth: number): Inline {
        switch (token.type) {
            case 'text':
                return { type: 'text', text: token.content };
            case 'code_inline':
                return { type: 'code', text: token.content };
            case 'softbreak':
                return { type: 'text', text: '\n' };
            case 'hardbreak':
                return { type: 'break' };
            case 'strong_open':
                return { type: 'strong', children: this.inlines(depth) };
            case 'em_open':
                return { type: 'emphasis', children: this.inlines(depth) };
            case 's_open':
                return { type: 'deleted', children: this.inlines(depth) };
            case 'link_open':
                return this.link(String(token.attrGet('href') ?? ''), depth);
            case 'image':
                return image(String(token.attrGet('src') ?? ''), plain(new Reader(token.children ?? []).inlines()));
            case 'html_inline':
                // The one tag that answers use for what Markdown lacks: a new line inside a table.
                if (/^<br ?\/?>$/i.test(token.content)) return { type: 'break' };
                return { type: 'text', text: token.content };
            default:
                return { type: 'text', text: token.content };
        }
    }

    private link(url: string, depth: number): Inline {
        const children = this.inlines(depth);
        const address = safeAddress(url); // the parser asked too; what opens is checked here
        return address === null ? { type: 'text', text: plain(children) } : { type: 'link', url: address, children };
    }
}

function image(url: string, alt: string): Inline {
    const address = safeAddress(url);
    return address === null ? { type: 'text', text: alt } : { type: 'image', url: address, alt };
}

function plain(inlines: readonly Inline[]): string {
    return inlines
        .map((one) => {
            if ('children' in one) return plain(one.children);
            if ('text' in one) return one.text;
            return one.type === 'image' ? one.alt : '\n';
        })
        .join('');
}

/** "[x] done" at the beginning of an item. */
function task(children: Block[]): ListItem {
    const [first, ...others] = children;
    const text = first?.type === 'paragraph' ? first.children[0] : undefined;
    const found = text?.type === 'text' ? TASK.exec(text.text) : null;
    if (first?.type !== 'paragraph' || text?.type !== 'text' || !found) return { checked: null, children };
    const rest: Inline = { type: 'text', text: text.text.slice(found[0].length) };
    return {
        checked: found[1] !== ' ',
        children: [{ type: 'paragraph', children: [rest, ...first.children.slice(1)] }, ...others],
    };
}

export function convert(tokens: readonly Token[]): Block[] {
    return new Reader(tokens).blocks();
}
