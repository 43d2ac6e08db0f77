// Server-sent events as the HTML standard defines them, from bytes that arrive in any pieces.

const EVENT_CHARACTERS_MAX = 1 << 20;

/** Turns bytes into the `data` of events; one parser for one stream. */
export class SseParser {
    private readonly decoder = new TextDecoder('utf-8');
    private rest = ''; // an unfinished line
    private data: string[] = []; // the lines of an unfinished event
    private length = 0; // of data
    private afterReturn = false; // a line ended in CR: an LF that follows belongs to it

    /** The events that these bytes complete. Throws RangeError for one that does not end. */
    push(bytes: Uint8Array): string[] {
        let text = this.decoder.decode(bytes, { stream: true });
        if (text === '') return [];
        if (this.afterReturn && text.startsWith('\n')) text = text.slice(1);
        this.afterReturn = text === '' ? false : text.endsWith('\r');
        const lines = (this.rest + text).split(/\r\n|\r|\n/);
        this.rest = lines.pop() ?? '';
        const events: string[] = [];
        for (const line of lines) this.take(line, events);
        if (this.rest.length + this.length > EVENT_CHARACTERS_MAX) throw new RangeError('endless event');
        return events;
    }

    private take(line: string, events: string[]): void {
        if (line === '') {
            if (this.data.length > 0) events.push(this.data.join('\n'));
            this.data = [];
            this.length = 0;
            return;
        }
        const colon = line.indexOf(':');
        const field = colon < 0 ? line : line.slice(0, colon);
        if (field !== 'data') return; // comments have an empty name; other fields mean nothing here
        const value = colon < 0 ? '' : line.slice(colon + 1);
        this.data.push(value.startsWith(' ') ? value.slice(1) : value);
        this.length += value.length;
    }
}

/** The events of a response body, as they come. Ends where the body ends, finished event or not. */
export async function* sseEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
    const parser = new SseParser();
    const reader = body.getReader();
    try {
        for (;;) {
            const { done, value } = await reader.read();
            if (done) return;
            yield* parser.push(value);
        }
    } finally {
        await reader.cancel().catch(() => undefined); // whoever stops reading stops the answer
    }
}
