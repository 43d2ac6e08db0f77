import type { Failure } from '../api/errors';
import type { ModelState } from '../api/models';

const modelState: Record<ModelState, string> = {
    not_downloaded: 'not downloaded',
    on_disk: 'loads at the first question',
    loading: 'loading',
    loaded: 'ready',
    failed: 'could not be loaded',
};

const failure: Record<Failure['kind'], string> = {
    gone: 'The server does not answer. Is it still running?',
    cut: 'The connection broke before the answer was complete.',
    busy: 'The server is busy.',
    too_long: 'This conversation is longer than the model can read. Start a new chat, or shorten the question.',
    not_ready: 'The model is not ready.',
    no_model: 'The server does not know this model.',
    forbidden: 'The server refused this page. Open it under the address that the server printed at its start.',
    other: 'The server refused the question.',
};

export const en = {
    language: 'English',
    newChat: 'New chat',
    model: 'Model',
    modelState,
    offline: 'offline',
    connecting: 'connecting',
    emptyTitle: 'What would you like to know?',
    emptyHint: 'The model runs on the server that gave you this page. What you type goes nowhere else.',
    examples: [
        'Explain in three sentences why the sky is blue.',
        'Write a short poem about a bird on a mudflat.',
        'Give me five ideas for a rainy afternoon.',
        'What is the difference between weather and climate?',
    ],
    examplesLabel: 'Examples',
    conversation: 'Conversation',
    you: 'You',
    placeholder: 'Ask something',
    send: 'Send',
    stop: 'Stop',
    retry: 'Try again',
    copy: 'Copy',
    copied: 'Copied',
    toEnd: 'To the latest',
    keysHint: 'Enter sends, Shift+Enter starts a new line.',
    careHint: 'Answers can be wrong.',
    loading: 'Loading the model …',
    reading: 'Reading the question …',
    answering: 'The answer is being written.',
    stopped: 'Stopped',
    length: 'Ended at the limit of tokens',
    empty: 'The model answered with nothing.',
    failure,
    notDownloaded: 'This model is not downloaded.',
    wait: (seconds: number) => `Try again in ${seconds} s.`,
    tokens: (count: number) => (count === 1 ? '1 token' : `${count} tokens`),
    tokensPerSecond: (rate: number) => `${rate.toFixed(rate < 10 ? 1 : 0)} tokens/s`,
};

export type Texts = typeof en;
