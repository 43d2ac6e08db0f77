import { getContext, setContext } from 'svelte';

/** Runs a change of what scrolls, so that what it returns afterwards stands where `at` stood. */
export type Still = (at: HTMLElement, change: () => Promise<HTMLElement | null>) => Promise<void>;

const KEY = Symbol('still');

export const provideStillness = (still: Still): Still => setContext(KEY, still);
export const stillness = (): Still => getContext(KEY);
