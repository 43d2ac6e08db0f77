import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { FakeSessions, wireSession } from './fake_sessions';
import { notices } from './notices.svelte';
import { hashOf, sessionOf } from './route';
import { SessionList, UNDO_MS } from './session_list.svelte';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
    vi.useRealTimers();
    notices.close();
});
const settle = () => vi.advanceTimersByTimeAsync(0);

async function setUp() {
    const api = new FakeSessions();
    api.sessions = ['e', 'd', 'c', 'b', 'a'].map((id, i) => wireSession(id, { updated: 9 - i }));
    const list = new SessionList(api);
    await list.refresh();
    return { api, list, ids: () => list.shown.map((session) => session.id).join('') };
}

it('pages, and keeps the older pages when the newest changes', async () => {
    const { api, list, ids } = await setUp();
    expect(ids()).toBe('edc');
    await list.loadMore();
    expect(ids()).toBe('edcba');
    expect(list.more).toBe(false);
    api.sessions = [wireSession('f', { updated: 10 }), ...api.sessions.filter((session) => session.id !== 'd')];
    await list.refresh();
    expect(ids()).toBe('fecba');
});

it('searches once nobody types any more', async () => {
    const { api, list, ids } = await setUp();
    list.search('x');
    await vi.advanceTimersByTimeAsync(200);
    list.search('b');
    await vi.advanceTimersByTimeAsync(250);
    expect(api.lists.slice(1)).toEqual([['b', undefined]]);
    expect(ids()).toBe('b');
    list.search('');
    await vi.advanceTimersByTimeAsync(250);
    expect(ids()).toBe('edc');
});

it('deletes after a while, or not', async () => {
    const { api, list, ids } = await setUp();
    list.remove(wireSession('d'));
    expect(ids()).toBe('ec');
    await vi.advanceTimersByTimeAsync(UNDO_MS - 1);
    expect(api.removed).toEqual([]);
    list.undo();
    expect(ids()).toBe('edc');
    list.remove(wireSession('d'));
    list.remove(wireSession('c')); // the one before goes at once
    expect(api.removed).toEqual(['d']);
    await vi.advanceTimersByTimeAsync(UNDO_MS - 1);
    list.hold();
    await vi.advanceTimersByTimeAsync(10 * UNDO_MS);
    list.resume();
    await vi.advanceTimersByTimeAsync(UNDO_MS - 1);
    expect(list.leaving).not.toBeNull();
    await vi.advanceTimersByTimeAsync(1);
    expect(api.removed).toEqual(['d', 'c']);
    expect(ids()).toBe('e');
});

it('deletes at once when the page is left', async () => {
    const { api, list } = await setUp();
    list.remove(wireSession('d'));
    list.flush();
    list.flush();
    expect(api.removed).toEqual(['d']);
    expect(vi.getTimerCount()).toBe(0);
});

it('brings back what could not be deleted or renamed, and says why', async () => {
    const { api, list, ids } = await setUp();
    api.failure = 'gone';
    list.remove(wireSession('d'));
    list.flush();
    await settle();
    expect(ids()).toBe('edc');
    expect(notices.failure?.kind).toBe('gone');
    const [first] = list.shown;
    if (first) await list.rename(first, 'Other');
    expect(list.shown[0]?.title).toBe('e');
    api.failure = null;
    if (first) await list.rename(first, ' Other ');
    expect(list.shown[0]?.title).toBe('Other');
});

it('reads addresses', () => {
    expect(sessionOf('#/s/sess_5f0c')).toBe('sess_5f0c');
    for (const hash of ['', '#', '#/', '#/s/', '#/s/a/b', '#/s/%E0%A4', `#/s/${'a'.repeat(301)}`]) expect(sessionOf(hash)).toBe(null);
    for (const id of ['a', 'of another/program?', '对话', null]) expect(sessionOf(hashOf(id))).toBe(id);
});
