import { afterEach, describe, expect, it, vi } from 'vitest';
import { chatEvents, streamChat, type ChatEvent } from './chat';
import { ApiError, failureFrom, failureOf } from './errors';

afterEach(() => vi.unstubAllGlobals());

const chunk = (delta: object, finish: string | null = null) =>
    JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }], usage: null });

function answerWith(body: string, init: ResponseInit = {}): void {
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(body, init)));
}

async function ask(): Promise<ChatEvent[]> {
    const events: ChatEvent[] = [];
    for await (const event of streamChat('m', [], new AbortController().signal)) events.push(event);
    return events;
}

async function failure(): Promise<unknown> {
    return ask().then(
        () => 'none',
        (thrown: unknown) => failureOf(thrown, false),
    );
}

describe('chatEvents', () => {
    it('reads role, text, finish and usage', () => {
        expect([...chatEvents(chunk({ role: 'assistant', content: '' }))]).toEqual([]);
        expect([...chatEvents(chunk({ content: 'a' }))]).toEqual([{ type: 'text', text: 'a' }]);
        expect([...chatEvents(chunk({}, 'length'))]).toEqual([{ type: 'finish', reason: 'length' }]);
        const usage = { prompt_tokens: 3, completion_tokens: 4 };
        expect([...chatEvents(JSON.stringify({ choices: [], usage }))]).toEqual([
            { type: 'usage', promptTokens: 3, completionTokens: 4 },
        ]);
    });
    it('throws what an error frame says', () => {
        const frame = JSON.stringify({ error: { message: 'lost', code: 'device_lost' } });
        expect(() => [...chatEvents(frame)]).toThrow('lost');
    });
    it('takes broken JSON for a broken connection', () => {
        expect(() => [...chatEvents('{"choi')]).toThrow(ApiError);
    });
});

describe('streamChat', () => {
    it('ends at [DONE]', async () => {
        answerWith(`data: ${chunk({ content: 'a' })}\n\n: ping\n\ndata: [DONE]\n\ndata: {}\n\n`);
        expect(await ask()).toEqual([{ type: 'text', text: 'a' }]);
    });
    it('fails when the body ends without [DONE]', async () => {
        answerWith(`data: ${chunk({ content: 'a' })}\n\n`);
        expect(await failure()).toMatchObject({ kind: 'cut' });
    });
    it('fails with what the server says', async () => {
        const error = { message: 'too many', type: 'x', param: null, code: 'overloaded' };
        answerWith(JSON.stringify({ error }), { status: 503, headers: { 'Retry-After': '7' } });
        expect(await failure()).toEqual({ kind: 'busy', detail: 'too many', wait_s: 7 });
    });
    it('says gone when nobody answers', async () => {
        vi.stubGlobal('fetch', () => Promise.reject(new TypeError('Failed to fetch')));
        expect(await failure()).toMatchObject({ kind: 'gone' });
    });
});

describe('failureFrom', () => {
    const kind = (code: string | null, status: number) =>
        failureFrom({ error: { message: 'm', code } }, status, null).kind;

    it('goes by the code, then by the status', () => {
        expect(kind('context_length_exceeded', 400)).toBe('too_long');
        expect(kind('model_not_found', 404)).toBe('no_model');
        expect(kind('not_ready', 503)).toBe('not_ready');
        expect(kind('rate_limit_exceeded', 429)).toBe('busy');
        expect(kind(null, 429)).toBe('busy');
        expect(kind(null, 413)).toBe('too_long');
        expect(kind('toString', 400)).toBe('other');
    });
    it('bears any body and any Retry-After', () => {
        for (const body of [undefined, null, 3, 'x', [], { error: 'x' }, { error: { message: 3 } }])
            expect(failureFrom(body, 500, null)).toEqual({ kind: 'other', detail: 'HTTP 500', wait_s: 0 });
        for (const [given, wait_s] of [
            [null, 1],
            ['', 1],
            ['-5', 1],
            ['Wed, 21 Oct 2026 07:28:00 GMT', 1],
            ['1e9', 3600],
        ] as const)
            expect(failureFrom({}, 429, given)).toMatchObject({ kind: 'busy', wait_s });
    });
});
