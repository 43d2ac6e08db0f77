import type { WireMessage } from '../api/chat';
import type { Failure } from '../api/errors';

export interface Question {
    id: number;
    role: 'user';
    text: string;
}

export type AnswerState =
    | 'waiting' // nothing came yet: the model loads, or reads the question
    | 'streaming'
    | 'done'
    | 'length' // ended at the limit of tokens
    | 'stopped' // by the person
    | 'failed';

export interface Answer {
    id: number;
    role: 'assistant';
    text: string;
    state: AnswerState;
    failure: Failure | null;
    tokens: number | null; // null until the server counted
    tokensPerSecond: number | null; // from the first token to the last
}

export type Message = Question | Answer;

export function isOpen(answer: Answer): boolean {
    return answer.state === 'waiting' || answer.state === 'streaming';
}

/**
 * The conversation as the server reads it. A question that got no answer at all is left out with
 * its answer, unless it is the last one: templates want the roles to alternate.
 */
export function history(messages: Message[]): WireMessage[] {
    const out: WireMessage[] = [];
    messages.forEach((message, i) => {
        if (message.role === 'assistant') {
            if (message.text !== '') out.push({ role: 'assistant', content: message.text });
            return;
        }
        const next = messages[i + 1];
        const unanswered = next?.role === 'assistant' && next.text === '' && i + 2 < messages.length;
        if (!unanswered) out.push({ role: 'user', content: message.text });
    });
    return out;
}
