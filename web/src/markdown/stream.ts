// An answer grows at its end, and what is behind a blank line at the outermost level never changes
// any more: no block of CommonMark reaches back over one once the next block has begun. So the
// text is kept as finished chunks and a tail, and only the tail is parsed again. One thing does
// reach back: a definition ("[1]: https://...") makes links of brackets far above it. Chunks with
// a bracket are therefore parsed again when the definitions change.
import { convert } from './convert';
import type { Block } from './nodes';
import { lastBoundary, tokens, type Definitions } from './parse';

const none = (): Definitions => Object.create(null) as Definitions;
const copy = (definitions: Definitions): Definitions => Object.assign(none(), definitions);

interface Chunk {
    source: string;
    blocks: Block[];
}

/** The blocks of a text that grows. Blocks that did not change keep their identity. */
export class MarkdownStream {
    private text = '';
    private chunks: Chunk[] = [];
    private finished = 0; // characters in `chunks`
    private kept = none(); // what the chunks define
    private signature = '';

    /** All blocks of the text. Cheap where it begins with the text of the call before. */
    update(text: string): Block[] {
        if (!text.startsWith(this.text)) this.reset();
        this.text = text;
        let tail = text.slice(this.finished);
        let known = copy(this.kept);
        let found = tokens(tail, known);
        const cut = found ? lastBoundary(tail, found) : 0;
        if (cut > 0) {
            const source = tail.slice(0, cut);
            tokens(source, this.kept); // for what it defines
            this.chunks.push({ source, blocks: blocksOf(source, copy(known)) });
            this.finished += cut;
            tail = tail.slice(cut);
            known = copy(this.kept);
            found = tokens(tail, known);
        }
        this.spread(known);
        const last = found ? convert(found) : [raw(tail)];
        return [...this.chunks.flatMap((chunk) => chunk.blocks), ...last];
    }

    private reset(): void {
        this.chunks = [];
        this.finished = 0;
        this.kept = none();
        this.signature = '';
    }

    /** Parses again what may refer to definitions that were not there before. */
    private spread(known: Definitions): void {
        const signature = JSON.stringify(Object.entries(known).map(([name, { href }]) => [name, href]));
        if (signature === this.signature) return;
        this.signature = signature;
        for (const chunk of this.chunks)
            if (chunk.source.includes('[')) chunk.blocks = blocksOf(chunk.source, copy(known));
    }
}

function blocksOf(source: string, known: Definitions): Block[] {
    const found = tokens(source, known);
    return found ? convert(found) : [raw(source)];
}

function raw(text: string): Block {
    return { type: 'raw', text };
}
