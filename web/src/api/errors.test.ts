import { afterEach, describe, expect, it, vi } from 'vitest';
import { ApiError, failureFrom, failureOf } from './errors';
import { apiKey } from './key.svelte';
import { request } from './rest';
import { sessions } from './sessions';

afterEach(() => {
    vi.unstubAllGlobals();
    apiKey.use('', false);
});

describe('failureFrom', () => {
    const kind = (code: string | null, status: number) => failureFrom({ message: 'm', code }, status, null).kind;

    it('goes by the code, then by the status', () => {
        expect(kind('context_length_exceeded', 400)).toBe('too_long');
        expect(kind('string_above_max_length', 400)).toBe('too_long');
        expect(kind('model_not_found', 404)).toBe('no_model');
        expect(kind('disk_full', 507)).toBe('disk');
        expect(kind('not_found', 404)).toBe('lost');
        expect(kind('conflict', 409)).toBe('conflict');
        expect(kind('rate_limit_exceeded', 429)).toBe('limited');
        expect(kind('overloaded', 0)).toBe('busy');
        expect(kind('invalid_api_key', 401)).toBe('key');
        expect(kind(null, 429)).toBe('limited');
        expect(kind(null, 413)).toBe('too_long');
        expect(kind('toString', 400)).toBe('other');
    });
    it('bears any body and any Retry-After', () => {
        for (const error of [undefined, null, 3, 'x', [], { message: 3 }])
            expect(failureFrom(error, 500, null)).toEqual({ kind: 'other', detail: 'HTTP 500', wait_s: 0 });
        for (const [given, wait_s] of [
            [null, 1],
            ['', 1],
            ['-5', 1],
            [2.2, 3],
            ['Wed, 21 Oct 2026 07:28:00 GMT', 1],
            ['1e9', 3600],
        ] as const)
            expect(failureFrom({}, 429, given)).toMatchObject({ kind: 'limited', wait_s });
    });
    it('says gone when nobody answers', () => {
        expect(failureOf(new TypeError('Failed to fetch')).kind).toBe('gone');
        expect(failureOf(new ApiError({ kind: 'full', detail: '', wait_s: 0 })).kind).toBe('full');
    });
});

describe('request', () => {
    const answer = (status: number, body: object = {}) => {
        const called = vi.fn<typeof fetch>(() => Promise.resolve(new Response(JSON.stringify(body), { status })));
        vi.stubGlobal('fetch', called);
        return called;
    };

    it('carries the key, and asks for another when it is refused', async () => {
        const called = answer(200);
        apiKey.use('secret', false);
        await request('GET', '/sessions');
        expect(called.mock.calls[0]?.[1]?.headers).toEqual({ Authorization: 'Bearer secret' });
        answer(401);
        await expect(request('GET', '/sessions')).rejects.toThrow(ApiError);
        expect(apiKey.wanted).toBe(true);
        apiKey.use('other', false);
        expect(apiKey.wanted).toBe(false);
    });
    it('writes ids and searches into addresses', async () => {
        const called = answer(200, { data: [], has_more: false });
        await sessions.list('a&b c', 'sess_1');
        await sessions.history('x/y?', 'm');
        await sessions.list('');
        expect(called.mock.calls.map(([path]) => path)).toEqual([
            '/sessions?query=a%26b+c&limit=50&after=sess_1',
            '/chat/history/x%2Fy%3F?limit=50&before=m',
            '/sessions?limit=50',
        ]);
    });
});
