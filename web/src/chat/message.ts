import type { Failure } from '../api/errors';
import type { WireMessage } from '../api/wire';

interface Common {
    key: number; // of this page; the same while the message is shown
    id: string | null; // null until the server has stored it
    text: string;
    created_ms: number;
    siblings: string[]; // ids of the messages in the same place, oldest first
}

export interface Question extends Common {
    role: 'user';
}

export type AnswerState =
    | 'waiting' // nothing came yet: it queues, the model loads, or reads the question
    | 'streaming'
    | 'done'
    | 'length' // ended at the limit of tokens
    | 'stopped' // by the person, or because nobody was there to read
    | 'interrupted' // the server ended in the middle
    | 'failed';

export interface Answer extends Common {
    role: 'assistant';
    state: AnswerState;
    model: string | null;
    tokens: number | null; // null until the server counted
    tokensPerSecond: number | null; // from the first token to the last
    place: { position: number; eta_s: number | null } | null; // in the queue
    paused: boolean; // the connection is lost; it goes on when that is back
    omitted: number; // of the oldest messages, left out of the context
    cut: number; // characters that were cut out of the question
    unsaved: boolean; // the server could not store it
    failure: Failure | null;
}

export type Message = Question | Answer;

let lastKey = 0;

/** By answer, what this page measured: the history does not have it. */
export const speeds = new Map<string | null, number>();

export function newQuestion(text: string, siblings: string[] = []): Question {
    return { key: ++lastKey, id: null, role: 'user', text, created_ms: Date.now(), siblings: [...siblings] };
}

export function newAnswer(siblings: string[] = []): Answer {
    return {
        key: ++lastKey,
        id: null,
        role: 'assistant',
        text: '',
        created_ms: Date.now(),
        siblings: [...siblings],
        state: 'waiting',
        model: null,
        tokens: null,
        tokensPerSecond: null,
        place: null,
        paused: false,
        omitted: 0,
        cut: 0,
        unsaved: false,
        failure: null,
    };
}

function stateOf(message: WireMessage): AnswerState {
    switch (message.status) {
        case 'writing':
            return message.content === '' ? 'waiting' : 'streaming';
        case 'cancelled':
            return 'stopped';
        case 'interrupted':
        case 'failed':
            return message.status;
        default:
            return message.finish_reason === 'length' ? 'length' : 'done';
    }
}

export function fromWire(message: WireMessage): Message {
    const common = {
        id: message.id,
        text: message.content,
        created_ms: message.created * 1000,
        siblings: message.siblings,
    };
    if (message.role === 'user') return { ...newQuestion(''), ...common };
    return {
        ...newAnswer(),
        ...common,
        state: stateOf(message),
        model: message.model,
        tokens: message.usage?.completion_tokens || null, // 0 where nobody counted
        tokensPerSecond: speeds.get(message.id) ?? null,
        failure: message.status === 'failed' ? { kind: 'other', detail: '', wait_s: 0 } : null,
    };
}

/** Messages as they came, with the keys of those that are shown already, and the older ones of these. */
export function merged(shown: readonly Message[], page: readonly WireMessage[]): Message[] {
    const keys = new Map(shown.map((message) => [message.id, message.key]));
    const fresh = page.map(fromWire).map((message) => ({ ...message, key: keys.get(message.id) ?? message.key }));
    const overlap = shown.findIndex((message) => message.id !== null && message.id === fresh[0]?.id);
    return [...shown.slice(0, Math.max(overlap, 0)), ...fresh];
}

export function isOpen(message: Message | undefined): message is Answer {
    return message?.role === 'assistant' && (message.state === 'waiting' || message.state === 'streaming');
}
