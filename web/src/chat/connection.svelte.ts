import { apiKey } from '../api/key.svelte';
import { browserParts, ChatSocket, type SocketParts, type SocketState } from '../api/socket';
import type { AnswerEvent, Ask, ServerMessage } from '../api/wire';

/** Who follows one answer. */
export interface Listener {
    receive(event: AnswerEvent): void;
    /** The connection broke; reopened() or lost() once more follows. */
    lost(why: { tooLarge: boolean }): void;
    /** There is a connection again, which knows nothing of the one before. */
    reopened(): void;
}

/** The page's connection for answers: who hears what, and whether it stands. */
export class Connection {
    state = $state.raw<SocketState>({ type: 'off' });
    private readonly socket: ChatSocket;
    private readonly asked = new Map<string, Listener>();
    private waiting = new Set<Listener>(); // for a connection
    private lastId = 0;

    constructor(parts: SocketParts = { ...browserParts, key: () => apiKey.value }) {
        this.socket = new ChatSocket(parts, {
            state: (state) => this.changed(state),
            message: (message) => this.received(message),
            lost: (why) => this.lost(why),
            keyWanted: () => (apiKey.wanted = true),
        });
    }

    /** Connects, or does not wait any longer before the next try. */
    connect(): void {
        this.socket.connect();
    }
    /** As somebody else: the key has changed. */
    reconnect(): void {
        this.socket.reconnect();
    }
    close(): void {
        this.socket.close();
    }

    /**
     * Says it, and gives the listener what comes for it. Returns the id, or null where there is no
     * connection: then it connects, and the listener hears how that went.
     */
    ask(message: Ask, listener: Listener): string | null {
        const id = `a${++this.lastId}`;
        if (this.socket.send({ ...message, id })) {
            this.asked.set(id, listener);
            return id;
        }
        this.waiting.add(listener);
        this.socket.connect();
        return null;
    }

    stop(id: string): void {
        this.socket.send({ type: 'stop', id });
    }

    /** The listener wants to hear nothing more. */
    leave(listener: Listener): void {
        this.waiting.delete(listener);
        for (const [id, one] of this.asked) if (one === listener) this.asked.delete(id);
    }

    private changed(state: SocketState): void {
        this.state = state;
        if (state.type !== 'open') return;
        const waiting = this.waiting;
        this.waiting = new Set();
        for (const listener of waiting) listener.reopened();
    }

    private received(message: ServerMessage): void {
        if (message.type === 'error' && message.id === null && isKeyError(message.error)) apiKey.wanted = true;
        if (message.type === 'authenticated' || message.type === 'pong' || message.id === null) return;
        const listener = this.asked.get(message.id);
        if (!listener) return;
        if (message.type === 'done' || message.type === 'error') this.asked.delete(message.id);
        listener.receive(message);
    }

    private lost(why: { tooLarge: boolean }): void {
        const listeners = new Set([...this.waiting, ...this.asked.values()]);
        this.asked.clear();
        this.waiting = new Set(listeners);
        for (const listener of listeners) listener.lost(why);
    }
}

function isKeyError(error: unknown): boolean {
    return typeof error === 'object' && error !== null && Reflect.get(error, 'code') === 'invalid_api_key';
}
