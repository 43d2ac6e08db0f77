import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeServer } from '../api/fake_socket';
import { Chats } from './chats.svelte';
import { Connection } from './connection.svelte';
import { FakeSessions, wireMessage, wireSession } from './fake_sessions';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());
const settle = () => vi.advanceTimersByTimeAsync(0);

function setUp() {
    const server = new FakeServer();
    const api = new FakeSessions();
    const connection = new Connection({ open: server.open, key: () => '', now_ms: () => Date.now(), random: () => 1 });
    const moved: (string | null)[] = [];
    const chats = new Chats(connection, (id) => moved.push(id), api);
    connection.connect();
    server.socket.accept();
    return { server, api, connection, chats, moved };
}

/** A chat with one question under way; `id` is what the socket calls its answer. */
async function asking(question = 'Hi') {
    const all = setUp();
    expect(all.chats.current.send(question)).toBe(true);
    await settle();
    const { id } = all.server.socket.last('chat') as { id: string };
    return { ...all, id, chat: all.chats.current };
}

const start = (id: string, over: object = {}) => ({
    type: 'start', id, session_id: 'sess_1', message_id: 'm2', user_message_id: 'm1', model: 'm',
    omitted_messages: 0, truncated_characters: 0, resumed: false, ...over,
});
const token = (id: string, seq: number, text: string) => ({ type: 'token', id, seq, text });
const done = (id: string, finish_reason = 'stop') => ({
    type: 'done', id, seq: 99, finish_reason, saved: true,
    usage: { prompt_tokens: 1, completion_tokens: 5 }, timings: { decode_ms: 2000 },
});
const error = (id: string, code: string, over: object = {}) => ({ type: 'error', id, error: { message: 'why', code }, ...over });
const texts = (chat: { messages: { text: string }[] }) => chat.messages.map((message) => message.text);

describe('an answer', () => {
    it('is asked for in a session of its own, grows and is counted', async () => {
        const { server, chat, id, api, moved } = await asking();
        expect(api.sessions[0]?.parameters).toMatchObject({ temperature: 0.6 });
        expect(moved).toEqual(['sess_1']);
        expect(server.socket.last('chat')).toMatchObject({ session_id: 'sess_1', message: 'Hi' });
        expect(chat.answer?.state).toBe('waiting');
        server.socket.say({ type: 'queued', id, position: 2, eta_ms: 3400 });
        expect(chat.answer?.place).toEqual({ position: 2, eta_s: 4 });
        server.socket.say(start(id));
        server.socket.say(token(id, 2, 'Hel'));
        expect(chat.answer).toMatchObject({ state: 'streaming', text: 'Hel', id: 'm2', place: null });
        server.socket.say(token(id, 5, 'lo'));
        server.socket.say(done(id));
        expect(chat.answer).toMatchObject({ state: 'done', text: 'Hello', tokens: 5, tokensPerSecond: 2, siblings: ['m2'] });
        expect(chat.messages[0]).toMatchObject({ id: 'm1', siblings: ['m1'] });
        expect(chat.answering).toBe(false);
    });

    it('takes no empty question and no second one', async () => {
        const { chat } = await asking();
        expect(chat.send('b')).toBe(false);
        expect(setUp().chats.current.send(' \n')).toBe(false);
        expect(chat.messages).toHaveLength(2);
    });

    it('is stopped, and keeps its text', async () => {
        const { server, chat, id } = await asking();
        server.socket.say(start(id));
        server.socket.say(token(id, 1, 'Hel'));
        chat.stop();
        expect(server.socket.last('stop')).toEqual({ type: 'stop', id });
        server.socket.say(done(id, 'cancelled'));
        expect(chat.answer).toMatchObject({ state: 'stopped', text: 'Hel', failure: null });
    });

    it('fails after its begin, with what there is of it', async () => {
        const { server, chat, id } = await asking();
        server.socket.say(start(id));
        server.socket.say(token(id, 1, 'Hel'));
        server.socket.say(error(id, 'device_lost'));
        expect(chat.answer).toMatchObject({ state: 'failed', text: 'Hel', failure: { kind: 'other', detail: 'why' } });
        chat.retry();
        await settle();
        expect(server.socket.last('regenerate')).toMatchObject({ message_id: 'm2' });
    });

    it('is refused before its begin, and asked again in the same session', async () => {
        const { server, chat, id, api } = await asking();
        server.socket.say(error(id, 'rate_limit_exceeded', { retry_after_s: 7 }));
        expect(chat.answer?.failure).toEqual({ kind: 'limited', detail: 'why', wait_s: 7 });
        expect(chat.answering).toBe(false);
        chat.retry();
        await settle();
        expect(texts(chat)).toEqual(['Hi', '']);
        expect(api.sessions).toHaveLength(1);
        expect(server.socket.sent.filter((message) => message.type === 'chat')).toHaveLength(2);
    });

    it('that was refused can be taken back', async () => {
        const { server, chat, id, chats, api } = await asking();
        server.socket.say(error(id, 'context_length_exceeded'));
        expect(chat.discard()).toBe('Hi');
        expect(chat.messages).toEqual([]);
        chats.open('other'); // the session that was made for it goes too
        await settle();
        expect(api.removed).toEqual(['sess_1']);
    });

    it('fails when no session can be made', async () => {
        const { chats, api } = setUp();
        api.failure = 'gone';
        chats.current.send('Hi');
        await settle();
        expect(chats.current.answer?.failure?.kind).toBe('gone');
        api.failure = null;
        chats.current.retry();
        await settle();
        expect(chats.current.answer?.state).toBe('waiting');
    });
});

describe('a lost connection', () => {
    it('in mid-answer: resumes after the last event, without a gap or a double', async () => {
        const { server, chat, id } = await asking();
        server.socket.say(start(id));
        server.socket.say(token(id, 3, 'Hel'));
        server.socket.break();
        expect(chat.answer).toMatchObject({ state: 'streaming', paused: true });
        await vi.advanceTimersByTimeAsync(500);
        server.socket.accept();
        const resume = server.socket.last('resume') as { id: string };
        expect(resume).toMatchObject({ session_id: 'sess_1', after: 3 });
        server.socket.say(start(resume.id, { resumed: true }));
        for (const [seq, text] of [[2, 'He'], [3, 'l'], [4, 'lo'], [6, '!']] as const)
            server.socket.say(token(resume.id, seq, text));
        server.socket.say(done(resume.id));
        expect(chat.answer).toMatchObject({ state: 'done', text: 'Hello!', paused: false });
    });

    it('again and again, at every event: the text is whole', async () => {
        const pieces = ['One ', 'two ', 'three ', 'four'];
        for (let broken = 0; broken <= pieces.length; ++broken) {
            const { server, chat, id } = await asking();
            let name = id;
            server.socket.say(start(name));
            for (const [i, piece] of pieces.entries()) {
                if (i === broken) {
                    server.socket.break();
                    await vi.advanceTimersByTimeAsync(500);
                    server.socket.accept();
                    const resume = server.socket.last('resume') as { id: string; after: number };
                    name = resume.id;
                    server.socket.say(start(name, { resumed: true }));
                    for (let seq = resume.after + 1; seq <= i; ++seq) server.socket.say(token(name, seq, pieces[seq - 1] ?? ''));
                }
                server.socket.say(token(name, i + 1, piece));
            }
            server.socket.say(done(name));
            expect(chat.answer?.text).toBe(pieces.join(''));
        }
    });

    it('when the answer is over since: the history has the whole', async () => {
        const { server, chat, id, api } = await asking();
        server.socket.say(start(id));
        server.socket.say(token(id, 3, 'Hel'));
        server.socket.break();
        api.histories.set('sess_1', [wireMessage('m1', 'user', 'Hi'), wireMessage('m2', 'assistant', 'Hello')]);
        await vi.advanceTimersByTimeAsync(500);
        server.socket.accept();
        server.socket.say(error((server.socket.last('resume') as { id: string }).id, 'not_found'));
        await settle();
        expect(chat.answer).toMatchObject({ state: 'done', text: 'Hello' });
        expect(chat.answering).toBe(false);
    });

    it('before the begin: asks whether the question was stored, and says when it was not', async () => {
        const { server, chat } = await asking();
        server.socket.break();
        await vi.advanceTimersByTimeAsync(500);
        server.socket.accept();
        const resume = server.socket.last('resume') as { id: string };
        expect(resume).toMatchObject({ after: 0 });
        server.socket.say(error(resume.id, 'not_found'));
        await settle();
        expect(chat.answer?.failure?.kind).toBe('unsent');
        expect(texts(chat)).toEqual(['Hi', '']);
    });

    it('before the begin, but the server had the question', async () => {
        const { server, chat, api } = await asking();
        server.socket.break();
        api.histories.set('sess_1', [wireMessage('m1', 'user', 'Hi'), wireMessage('m2', 'assistant', 'Hello')]);
        await vi.advanceTimersByTimeAsync(500);
        server.socket.accept();
        server.socket.say(error((server.socket.last('resume') as { id: string }).id, 'not_found'));
        await settle();
        expect(texts(chat)).toEqual(['Hi', 'Hello']);
        expect(chat.attempt).toBeNull();
    });

    it('and stop meanwhile: it is stopped once the server can hear it', async () => {
        const { server, chat, id } = await asking();
        server.socket.say(start(id));
        server.socket.break();
        chat.stop();
        await vi.advanceTimersByTimeAsync(500);
        server.socket.accept();
        const resume = server.socket.last('resume') as { id: string };
        expect(server.socket.last('stop')).toEqual({ type: 'stop', id: resume.id });
    });

    it('while nothing was sent: it is sent when there is one, and fails when there is none', async () => {
        const { server, chats } = setUp();
        server.socket.break();
        chats.current.send('Hi');
        await settle();
        server.socket.accept();
        expect(server.socket.last('chat')).toMatchObject({ message: 'Hi' });

        const other = setUp();
        other.server.socket.break();
        other.chats.current.send('Hi');
        await settle();
        other.server.socket.break();
        expect(other.chats.current.answer?.failure?.kind).toBe('gone');
    });

    it('because the question was too large', async () => {
        const { server, chat } = await asking();
        server.socket.break(1009);
        expect(chat.answer?.failure?.kind).toBe('too_long');
    });
});

function stored() {
    const all = setUp();
    all.api.sessions = [wireSession('s', { head: 'm4' })];
    all.api.page = 2;
    all.api.histories.set('s', [
        wireMessage('m1', 'user', 'q1'),
        wireMessage('m2', 'assistant', 'a1'),
        wireMessage('m3', 'user', 'q2'),
        wireMessage('m4', 'assistant', 'a2'),
    ]);
    return all;
}

describe('a stored session', () => {
    it('is loaded from its end, page by page', async () => {
        const { chats } = stored();
        chats.open('s');
        await settle();
        const chat = chats.current;
        expect(texts(chat)).toEqual(['q2', 'a2']);
        const keys = chat.messages.map((message) => message.key);
        await chat.loadOlder();
        expect(texts(chat)).toEqual(['q1', 'a1', 'q2', 'a2']);
        expect(chat.messages.slice(2).map((message) => message.key)).toEqual(keys);
        expect(chat.more).toBe(false);
        await chat.load(); // what was loaded of older ones stays
        expect(texts(chat)).toEqual(['q1', 'a1', 'q2', 'a2']);
        expect(chat.more).toBe(false);
    });

    it('that is being answered goes on from the beginning, and never shows less than it had', async () => {
        const { chats, api, server } = stored();
        api.sessions = [wireSession('s', { answering: true })];
        api.histories.get('s')?.splice(3, 1, wireMessage('m4', 'assistant', 'Half an', { status: 'writing' }));
        chats.open('s');
        await settle();
        const { id, after } = server.socket.last('resume') as { id: string; after: number };
        expect(after).toBe(0);
        server.socket.say(start(id, { message_id: 'm4', user_message_id: 'm3', resumed: true }));
        server.socket.say(token(id, 1, 'Half'));
        expect(chats.current.answer?.text).toBe('Half an');
        server.socket.say(token(id, 2, ' an answer'));
        expect(chats.current.answer?.text).toBe('Half an answer');
        server.socket.say(done(id));
        expect(texts(chats.current)).toEqual(['q2', 'Half an answer']);
    });

    it('whose question waits for its turn shows it once it begins', async () => {
        const { chats, api, server } = stored();
        api.sessions = [wireSession('s', { answering: true })];
        chats.open('s');
        await settle();
        const { id } = server.socket.last('resume') as { id: string };
        api.histories.get('s')?.push(wireMessage('m5', 'user', 'q3'), wireMessage('m6', 'assistant', '', { status: 'writing' }));
        server.socket.say(start(id, { message_id: 'm6', user_message_id: 'm5', resumed: true }));
        await settle();
        server.socket.say(token(id, 1, 'a3'));
        expect(texts(chats.current)).toEqual(['q3', 'a3']);
    });

    it('regenerates and edits into branches, and goes back when that is refused', async () => {
        const { chats, server } = stored();
        chats.open('s');
        await settle();
        const chat = chats.current;
        const answer = chat.messages[1];
        const question = chat.messages[0];
        if (!answer || question?.role !== 'user') throw new Error('not loaded');
        chat.regenerate(answer);
        const asked = server.socket.last('regenerate') as { id: string };
        expect(asked).toMatchObject({ session_id: 's', message_id: 'm4' });
        server.socket.say(start(asked.id, { message_id: 'm5', user_message_id: 'm3' }));
        server.socket.say(token(asked.id, 1, 'other'));
        server.socket.say(done(asked.id));
        expect(chat.answer).toMatchObject({ text: 'other', siblings: ['m4', 'm5'] });
        expect(answer.siblings).toEqual(['m4']);

        chat.edit(question, 'q2 again');
        const edit = server.socket.last('edit') as { id: string };
        expect(edit).toMatchObject({ message_id: 'm3', message: 'q2 again' });
        expect(texts(chat)).toEqual(['q2 again', '']);
        server.socket.say(error(edit.id, 'overloaded'));
        chat.discard();
        expect(texts(chat)).toEqual(['q2', 'other']);
    });

    it('goes back to a message', async () => {
        const { chats, api } = stored();
        api.page = 10;
        chats.open('s');
        await settle();
        const chat = chats.current;
        const [, first] = chat.messages;
        if (!first) throw new Error('not loaded');
        expect(chat.below(first)).toBe(2);
        await chat.backTo(first);
        expect(texts(chat)).toEqual(['q1', 'a1']);
        expect(api.histories.get('s')).toHaveLength(2);
    });

    it('goes on behind another, and is found as it is then', async () => {
        const { chats, server } = stored();
        chats.open('s');
        await settle();
        chats.current.send('q3');
        const { id } = server.socket.last('chat') as { id: string };
        server.socket.say(start(id, { message_id: 'm6', user_message_id: 'm5' }));
        chats.open(null);
        expect(chats.answering('s')).toBe(true);
        server.socket.say(token(id, 1, 'behind'));
        chats.open('s');
        expect(chats.current.answer?.text).toBe('behind');
        server.socket.say(done(id));
        expect(chats.answering('s')).toBe(false);
    });

    it('that is not there says so', async () => {
        const { chats } = setUp();
        chats.open('none');
        await settle();
        expect(chats.current.failure?.kind).toBe('lost');
    });
});
