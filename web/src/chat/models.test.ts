import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Model, ModelState } from '../api/models';
import { Models } from './models.svelte';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const model = (id: string, state: ModelState = 'on_disk'): Model => ({ id, state, reason: null });

it('chooses the first, and keeps what was chosen', async () => {
    let list = [model('a'), model('b')];
    const models = new Models(() => Promise.resolve(list));
    await models.refresh();
    expect(models.chosenId).toBe('a');
    models.chosenId = 'b';
    await models.refresh();
    expect(models.chosen?.id).toBe('b');
    list = [model('a')];
    await models.refresh();
    expect(models.chosenId).toBe('a');
    expect(vi.getTimerCount()).toBe(0); // nothing is about to change
});

it('looks again while a model loads', async () => {
    const states: ModelState[] = ['loading', 'loading', 'loaded'];
    const models = new Models(() => Promise.resolve([model('a', states.shift())]));
    await models.refresh();
    expect(models.chosen?.state).toBe('loading');
    await vi.runAllTimersAsync();
    expect(models.chosen?.state).toBe('loaded');
    expect(vi.getTimerCount()).toBe(0);
});

it('notices that the server went and came back', async () => {
    let there = true;
    const models = new Models(() => (there ? Promise.resolve([model('a')]) : Promise.reject(new TypeError())));
    await models.refresh();
    there = false;
    await models.refresh();
    expect(models.reachable).toBe(false);
    expect(models.list).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(models.reachable).toBe(false);
    there = true;
    await vi.runAllTimersAsync();
    expect(models.reachable).toBe(true);
});
