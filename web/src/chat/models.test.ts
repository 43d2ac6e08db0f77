import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Model, ModelState } from '../api/models';
import { Models } from './models.svelte';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const model = (id: string, state: ModelState = 'on_disk'): Model => ({ id, state, reason: null });

it('finds by id, and the first where none is named', async () => {
    const models = new Models(() => Promise.resolve([model('a'), model('b')]));
    expect(models.find(null)).toBeUndefined();
    await models.refresh();
    expect(models.find(null)?.id).toBe('a');
    expect(models.find('b')?.id).toBe('b');
    expect(models.find('gone')).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0); // nothing is about to change
});

it('looks again while a model loads', async () => {
    const states: ModelState[] = ['loading', 'loading', 'loaded'];
    const models = new Models(() => Promise.resolve([model('a', states.shift())]));
    await models.refresh();
    expect(models.find('a')?.state).toBe('loading');
    await vi.runAllTimersAsync();
    expect(models.find('a')?.state).toBe('loaded');
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
