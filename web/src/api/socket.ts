// One socket for the whole page, opened again whenever it breaks: soon at first, then ever later,
// and never at the same moment as everybody else's. A connection that died without a word is found
// by a ping that nobody answers.
import { readServerMessage, type ServerMessage } from './wire';

const PROTOCOL = 'dunlin.chat.v1';
const CLOSE_NO_KEY = 4401;
const CLOSE_TOO_LARGE = 1009;
const FIRST_WAIT_MS = 500;
const WAIT_MS_MAX = 15_000;
const OPEN_MS_MAX = 10_000;
const PING_MS = 25_000;
const PONG_MS_MAX = 10_000;
const STEADY_MS = 5_000; // after so long a connection counts as a good one

/** The part of a browser's WebSocket that is used. */
export interface SocketLike {
    onopen: (() => void) | null;
    onmessage: ((event: { data: unknown }) => void) | null;
    onclose: ((event: { code: number }) => void) | null;
    send(text: string): void;
    close(): void;
}

export type SocketState =
    | { type: 'off' } // not wanted yet, or for want of a key
    | { type: 'connecting'; tries: number }
    | { type: 'open' }
    | { type: 'waiting'; tries: number; until_ms: number }; // tries again by itself

export interface SocketParts {
    open: (protocol: string) => SocketLike;
    key: () => string;
    now_ms: () => number;
    random: () => number; // 0 to 1
}

export interface SocketEvents {
    state: (state: SocketState) => void;
    message: (message: ServerMessage) => void;
    /** `tooLarge`: the server closed it because of what it was sent. */
    lost: (why: { tooLarge: boolean }) => void;
    keyWanted: () => void;
}

export const browserParts: Omit<SocketParts, 'key'> = {
    open: (protocol) => {
        const url = new URL('/chat/ws', location.href);
        url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
        return new WebSocket(url, protocol) as unknown as SocketLike;
    },
    now_ms: () => Date.now(),
    random: () => Math.random(),
};

export class ChatSocket {
    state: SocketState = { type: 'off' };
    private socket: SocketLike | null = null;
    private tries = 0; // that failed, one after another
    private timers: ReturnType<typeof setTimeout>[] = [];
    private pong: (() => void) | null = null;

    constructor(
        private readonly parts: SocketParts,
        private readonly events: SocketEvents,
    ) {}

    /** Connects now, whatever it waits for. Nothing where it is connected. */
    connect(): void {
        if (this.socket) return;
        this.clearTimers();
        const socket = this.parts.open(PROTOCOL);
        this.socket = socket;
        this.enter({ type: 'connecting', tries: this.tries });
        this.later(OPEN_MS_MAX, () => this.drop(socket, 0));
        socket.onopen = () => this.socket === socket && this.opened(socket);
        socket.onmessage = (event) => this.socket === socket && this.received(event.data);
        socket.onclose = (event) => this.drop(socket, event.code);
    }

    /** Closes it and connects anew, with another key for instance. */
    reconnect(): void {
        const old = this.socket;
        if (old) {
            this.forget(old);
            this.events.lost({ tooLarge: false });
        }
        this.tries = 0;
        this.connect();
    }

    close(): void {
        if (this.socket) this.forget(this.socket);
        this.clearTimers();
        this.enter({ type: 'off' });
    }

    /** False where there is no connection. */
    send(message: object): boolean {
        if (this.state.type !== 'open' || !this.socket) return false;
        this.socket.send(JSON.stringify(message));
        return true;
    }

    private opened(socket: SocketLike): void {
        this.clearTimers();
        const key = this.parts.key();
        if (key !== '') socket.send(JSON.stringify({ type: 'auth', key }));
        this.later(STEADY_MS, () => (this.tries = 0));
        this.later(PING_MS, () => this.ping(socket));
        this.enter({ type: 'open' });
    }

    private received(data: unknown): void {
        const message = typeof data === 'string' ? readServerMessage(data) : null;
        if (!message) return;
        if (message.type === 'pong') this.pong?.();
        else this.events.message(message);
    }

    private ping(socket: SocketLike): void {
        const overdue = this.later(PONG_MS_MAX, () => this.drop(socket, 0));
        this.pong = () => {
            this.pong = null;
            clearTimeout(overdue);
            this.later(PING_MS, () => this.ping(socket));
        };
        this.send({ type: 'ping' });
    }

    /** The connection is over, or counts as such. */
    private drop(socket: SocketLike, code: number): void {
        if (this.socket !== socket) return;
        this.forget(socket);
        this.clearTimers();
        if (code === CLOSE_NO_KEY) {
            this.enter({ type: 'off' });
            this.events.lost({ tooLarge: false });
            this.events.keyWanted();
            return;
        }
        const most = Math.min(FIRST_WAIT_MS * 2 ** Math.min(this.tries, 10), WAIT_MS_MAX);
        const wait = most * (0.5 + this.parts.random() / 2);
        this.tries += 1;
        this.enter({ type: 'waiting', tries: this.tries, until_ms: this.parts.now_ms() + wait });
        this.later(wait, () => this.connect());
        this.events.lost({ tooLarge: code === CLOSE_TOO_LARGE });
    }

    private forget(socket: SocketLike): void {
        socket.onopen = socket.onmessage = socket.onclose = null;
        this.socket = null;
        this.pong = null;
        socket.close();
    }

    private enter(state: SocketState): void {
        this.state = state;
        this.events.state(state);
    }

    private later(ms: number, run: () => void): ReturnType<typeof setTimeout> {
        const timer = setTimeout(run, ms);
        this.timers.push(timer);
        return timer;
    }

    private clearTimers(): void {
        this.timers.forEach((timer) => clearTimeout(timer));
        this.timers = [];
    }
}
