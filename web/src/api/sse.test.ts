import { describe, expect, it } from 'vitest';
import { sseEvents, SseParser } from './sse';

const bytes = (text: string) => new TextEncoder().encode(text);

function parse(...pieces: Uint8Array[]): string[] {
    const parser = new SseParser();
    return pieces.flatMap((piece) => parser.push(piece));
}

const STREAM =
    ': ping\n\n' +
    'data: {"a":1}\n\n' +
    'event: x\nid: 7\nretry: 5\ndata:no space\n\n' +
    'data: two\ndata: lines\n\n' +
    'data:  one space stays\n\n' +
    'data\n\n' +
    'data: 天空🐦é\n\n' +
    ': ping\n\n\n' +
    'data: [DONE]\n\n';
const EVENTS = ['{"a":1}', 'no space', 'two\nlines', ' one space stays', '', '天空🐦é', '[DONE]'];

describe('SseParser', () => {
    for (const [name, end] of [
        ['LF', '\n'],
        ['CRLF', '\r\n'],
        ['CR', '\r'],
    ] as const) {
        const stream = bytes(STREAM.replaceAll('\n', end));

        it(`reads ${name} in one piece`, () => {
            expect(parse(stream)).toEqual(EVENTS);
        });
        it(`reads ${name} split at every byte`, () => {
            for (let at = 0; at <= stream.length; ++at)
                expect(parse(stream.slice(0, at), stream.slice(at)), `at ${at}`).toEqual(EVENTS);
        });
        it(`reads ${name} byte by byte`, () => {
            expect(parse(...Array.from(stream, (byte) => Uint8Array.of(byte)))).toEqual(EVENTS);
        });
    }

    it('keeps an event back until its empty line', () => {
        expect(parse(bytes('data: a\n'))).toEqual([]);
        expect(parse(bytes('data: a\n'), bytes('\n'))).toEqual(['a']);
    });
    it('drops what is unfinished at the end', () => {
        expect(parse(bytes('data: a\n\ndata: b'))).toEqual(['a']);
    });
    it('does not take an empty line after CR CR LF for two', () => {
        expect(parse(bytes('data: a\r'), bytes('\r\n'), bytes('data: b\r\n\r\n'))).toEqual(['a', 'b']);
    });
    it('refuses an event without an end', () => {
        const parser = new SseParser();
        const piece = bytes('x'.repeat(1 << 16));
        expect(() => {
            for (let i = 0; i < 32; ++i) parser.push(piece);
        }).toThrow(RangeError);
    });
});

describe('sseEvents', () => {
    it('reads a body and cancels it when its reader stops', async () => {
        let cancelled = false;
        const body = new ReadableStream<Uint8Array>({
            pull: (controller) => controller.enqueue(bytes('data: again\n\n')),
            cancel: () => void (cancelled = true),
        });
        let count = 0;
        for await (const event of sseEvents(body)) {
            expect(event).toBe('again');
            if (++count === 3) break;
        }
        expect(cancelled).toBe(true);
    });
});
