import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { FakeServer } from './fake_socket';
import { ChatSocket, type SocketState } from './socket';
import type { ServerMessage } from './wire';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function setUp({ key = '', random = 1 } = {}) {
    const server = new FakeServer();
    const states: SocketState[] = [];
    const messages: ServerMessage[] = [];
    const lost: boolean[] = [];
    let keys = 0;
    const socket = new ChatSocket(
        { open: server.open, key: () => key, now_ms: () => Date.now(), random: () => random },
        {
            state: (state) => states.push(state),
            message: (message) => messages.push(message),
            lost: ({ tooLarge }) => lost.push(tooLarge),
            keyWanted: () => ++keys,
        },
    );
    return { server, socket, states, messages, lost, keys: () => keys };
}

it('opens, says the key first, and passes on what it understands', () => {
    const { server, socket, states, messages } = setUp({ key: 'k' });
    expect(socket.send({ type: 'chat' })).toBe(false);
    socket.connect();
    expect(socket.send({ type: 'chat' })).toBe(false);
    server.socket.accept();
    expect(socket.send({ type: 'chat' })).toBe(true);
    expect(server.socket.sent).toEqual([{ type: 'auth', key: 'k' }, { type: 'chat' }]);
    expect(states.map((state) => state.type)).toEqual(['connecting', 'open']);
    for (const data of ['{', '3', 'null', '{}', '{"type":3}', new ArrayBuffer(2)]) server.socket.onmessage?.({ data });
    server.socket.say({ type: 'token', id: 'a', seq: 1, text: 'x' });
    expect(messages).toEqual([{ type: 'token', id: 'a', seq: 1, text: 'x' }]);
});

it('waits longer each time, up to 15 s, and again short once a connection held', () => {
    const { server, socket, states, lost } = setUp();
    socket.connect();
    const waits: number[] = [];
    for (let i = 0; i < 8; ++i) {
        server.socket.break();
        const state = states.at(-1);
        expect(state).toMatchObject({ type: 'waiting', tries: i + 1 });
        waits.push(state?.type === 'waiting' ? state.until_ms - Date.now() : -1);
        vi.advanceTimersByTime(waits[i] as number);
        expect(server.sockets).toHaveLength(i + 2);
    }
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
    expect(lost).toHaveLength(8);
    server.socket.accept();
    vi.advanceTimersByTime(5000);
    server.socket.break();
    expect(states.at(-1)).toMatchObject({ type: 'waiting', until_ms: Date.now() + 500 });
});

it('spreads the moments: the same break, other waits', () => {
    const until = [0, 0.5, 1].map((random) => {
        const { server, socket } = setUp({ random });
        socket.connect();
        server.socket.break();
        return socket.state.type === 'waiting' ? socket.state.until_ms - Date.now() : 0;
    });
    expect(until).toEqual([250, 375, 500]);
});

it('gives up a connection that does not open, and one that answers no ping', () => {
    const { server, socket, lost } = setUp();
    socket.connect();
    vi.advanceTimersByTime(10_000);
    expect(server.sockets[0]?.closed).toBe(true);
    vi.advanceTimersByTime(500);
    server.socket.accept();
    vi.advanceTimersByTime(25_000);
    expect(server.socket.last('ping')).toBeDefined();
    server.socket.say({ type: 'pong', id: null });
    vi.advanceTimersByTime(34_000);
    expect(server.sockets[1]?.closed).toBe(false);
    vi.advanceTimersByTime(1_000);
    expect(server.sockets[1]?.closed).toBe(true);
    expect(lost).toEqual([false, false]);
});

it('hears nothing of a connection that it gave up', () => {
    const { server, socket, messages, lost } = setUp();
    socket.connect();
    const first = server.socket.accept();
    const { onmessage, onclose } = first;
    socket.reconnect();
    onmessage?.({ data: '{"type":"token","id":"a"}' });
    onclose?.({ code: 1006 });
    expect(messages).toEqual([]);
    expect(lost).toEqual([false]);
    expect(server.sockets).toHaveLength(2);
});

it('asks for a key and rests when the server wants one', () => {
    const { server, socket, states, keys } = setUp();
    socket.connect();
    server.socket.accept().break(4401);
    expect(keys()).toBe(1);
    expect(states.at(-1)).toEqual({ type: 'off' });
    vi.advanceTimersByTime(60_000);
    expect(server.sockets).toHaveLength(1);
});

it('says when a message was too large', () => {
    const { server, socket, lost } = setUp();
    socket.connect();
    server.socket.accept().break(1009);
    expect(lost).toEqual([true]);
});

it('rests when it is closed', () => {
    const { server, socket } = setUp();
    socket.connect();
    socket.close();
    vi.advanceTimersByTime(60_000);
    expect(server.sockets).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
});
