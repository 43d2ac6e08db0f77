// The server's end of a socket, for tests: what was sent, and what to say.
import type { SocketLike } from './socket';

export class FakeSocket implements SocketLike {
    onopen: (() => void) | null = null;
    onmessage: ((event: { data: unknown }) => void) | null = null;
    onclose: ((event: { code: number }) => void) | null = null;
    sent: Record<string, unknown>[] = [];
    closed = false;

    send(text: string): void {
        this.sent.push(JSON.parse(text) as Record<string, unknown>);
    }
    close(): void {
        this.closed = true;
    }

    accept(): this {
        this.onopen?.();
        return this;
    }
    say(message: object): void {
        this.onmessage?.({ data: JSON.stringify(message) });
    }
    break(code = 1006): void {
        this.closed = true;
        this.onclose?.({ code });
    }
    /** The last message of a type. */
    last(type: string): Record<string, unknown> | undefined {
        return this.sent.filter((message) => message.type === type).at(-1);
    }
}

/** All sockets that a page opened, in order. */
export class FakeServer {
    sockets: FakeSocket[] = [];
    readonly open = (): FakeSocket => {
        const socket = new FakeSocket();
        this.sockets.push(socket);
        return socket;
    };
    get socket(): FakeSocket {
        const socket = this.sockets.at(-1);
        if (!socket) throw new Error('no socket was opened');
        return socket;
    }
}
