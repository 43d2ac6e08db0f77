import { expect, it } from 'vitest';
import { history, type Answer, type Message } from './message';

let id = 0;
const user = (text: string): Message => ({ id: ++id, role: 'user', text });
const assistant = (text: string, state: Answer['state'] = 'done'): Message => ({
    id: ++id,
    role: 'assistant',
    text,
    state,
    failure: null,
    tokens: null,
    tokensPerSecond: null,
});
const roles = (messages: Message[]) => history(messages).map((m) => `${m.role} ${m.content}`);

it('sends what was said, stopped answers too', () => {
    expect(roles([user('a'), assistant('b', 'stopped'), user('c')])).toEqual(['user a', 'assistant b', 'user c']);
});
it('leaves out a question without an answer, and its answer', () => {
    expect(roles([user('a'), assistant('', 'failed'), user('c')])).toEqual(['user c']);
});
it('keeps the last question', () => {
    expect(roles([user('a')])).toEqual(['user a']);
    expect(roles([user('a'), assistant('', 'failed')])).toEqual(['user a']);
});
