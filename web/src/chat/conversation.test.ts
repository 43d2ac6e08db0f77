import { describe, expect, it } from 'vitest';
import type { ChatEvent, WireMessage } from '../api/chat';
import { ApiError } from '../api/errors';
import { Conversation, type AskModel } from './conversation.svelte';

const text = (t: string): ChatEvent => ({ type: 'text', text: t });
const finish = (reason: string): ChatEvent => ({ type: 'finish', reason });
const usage = (completionTokens: number): ChatEvent => ({ type: 'usage', promptTokens: 1, completionTokens });

/** A model that says what the test pushes. */
class Scripted {
    asked: WireMessage[][] = [];
    models: string[] = [];
    private queue: (ChatEvent | Error | 'end')[] = [];
    private wake: () => void = () => undefined;

    say(...events: (ChatEvent | Error | 'end')[]): void {
        this.queue.push(...events);
        this.wake();
    }

    readonly ask: AskModel = (model, messages, signal) => {
        this.asked.push(messages);
        this.models.push(model);
        return this.run(signal);
    };

    private async *run(signal: AbortSignal): AsyncGenerator<ChatEvent> {
        const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        for (;;) {
            while (this.queue.length === 0) {
                await Promise.race([new Promise<void>((resolve) => (this.wake = resolve)), aborted]);
                if (signal.aborted) throw new DOMException('aborted', 'AbortError');
            }
            const next = this.queue.shift();
            if (next === 'end' || next === undefined) return;
            if (next instanceof Error) throw next;
            yield next;
        }
    }
}

function setUp() {
    const model = new Scripted();
    let now = 0;
    const conversation = new Conversation(model.ask, () => (now += 500));
    return { model, conversation };
}
const settle = () => new Promise((resolve) => setTimeout(resolve));

describe('Conversation', () => {
    it('streams an answer and counts', async () => {
        const { model, conversation } = setUp();
        const sent = conversation.send('Hi', 'm');
        expect(conversation.answering).toBe(true);
        expect(conversation.answer?.state).toBe('waiting');
        model.say(text('Hel'));
        await settle();
        expect(conversation.answer).toMatchObject({ state: 'streaming', text: 'Hel' });
        model.say(text('lo'), finish('stop'), usage(3), 'end');
        expect(await sent).toBe(true);
        expect(conversation.answer).toMatchObject({
            state: 'done',
            text: 'Hello',
            tokens: 3,
            tokensPerSecond: 4, // two more tokens in half a second
        });
        expect(conversation.answering).toBe(false);
        expect(model.asked).toEqual([[{ role: 'user', content: 'Hi' }]]);
        expect(model.models).toEqual(['m']);
    });

    it('takes no empty question and no second one', async () => {
        const { conversation } = setUp();
        expect(await conversation.send(' \n', 'm')).toBe(false);
        void conversation.send('a', 'm');
        expect(await conversation.send('b', 'm')).toBe(false);
        expect(conversation.messages).toHaveLength(2);
    });

    it('says when the limit ended it', async () => {
        const { model, conversation } = setUp();
        model.say(text('a'), finish('length'), usage(1), 'end');
        await conversation.send('Hi', 'm');
        expect(conversation.answer).toMatchObject({ state: 'length', tokens: 1, tokensPerSecond: null });
    });

    it('keeps the text of a stopped answer and sends it on', async () => {
        const { model, conversation } = setUp();
        const sent = conversation.send('Hi', 'm');
        model.say(text('Hel'));
        await settle();
        conversation.stop();
        await sent;
        expect(conversation.answer).toMatchObject({ state: 'stopped', text: 'Hel', failure: null });
        model.say('end');
        await conversation.send('More', 'm');
        expect(model.asked[1]).toEqual([
            { role: 'user', content: 'Hi' },
            { role: 'assistant', content: 'Hel' },
            { role: 'user', content: 'More' },
        ]);
    });

    it('stops before the first token', async () => {
        const { conversation } = setUp();
        const sent = conversation.send('Hi', 'm');
        conversation.stop();
        await sent;
        expect(conversation.answer).toMatchObject({ state: 'stopped', text: '' });
    });

    it('keeps the text of a broken answer beside the failure', async () => {
        const { model, conversation } = setUp();
        model.say(text('Hel'), new TypeError('network error'));
        await conversation.send('Hi', 'm');
        expect(conversation.answer).toMatchObject({ state: 'failed', text: 'Hel', failure: { kind: 'cut' } });
        expect(conversation.answering).toBe(false);
    });

    it('asks again in place of a failed answer', async () => {
        const { model, conversation } = setUp();
        model.say(new ApiError({ kind: 'busy', detail: 'full', wait_s: 2 }));
        await conversation.send('Hi', 'm');
        expect(conversation.answer?.failure).toEqual({ kind: 'busy', detail: 'full', wait_s: 2 });
        model.say(text('Hello'), finish('stop'), 'end');
        await conversation.retry('m');
        expect(conversation.messages).toHaveLength(2);
        expect(conversation.answer).toMatchObject({ state: 'done', text: 'Hello', failure: null });
        expect(model.asked[1]).toEqual(model.asked[0]);
    });

    it('starts anew in mid-answer, and the old answer touches nothing', async () => {
        const { model, conversation } = setUp();
        const old = conversation.send('Hi', 'm');
        model.say(text('Hel'));
        await settle();
        conversation.clear();
        expect(conversation.messages).toEqual([]);
        expect(conversation.answering).toBe(false);
        const next = conversation.send('Again', 'm');
        await old;
        expect(conversation.answering).toBe(true);
        model.say(text('new'), finish('stop'), 'end');
        await next;
        expect(conversation.messages.map((m) => m.text)).toEqual(['Again', 'new']);
    });
});
