// The server's sessions in memory, for tests: enough of API.md for what the page asks.
import { ApiError, type FailureKind } from '../api/errors';
import type { SessionFields, SessionsApi } from '../api/sessions';
import type { HistoryPage, Page, WireMessage, WireSession } from '../api/wire';

export function wireSession(id: string, over: Partial<WireSession> = {}): WireSession {
    return {
        id,
        title: id,
        model: null,
        system: null,
        parameters: {},
        created: 1,
        updated: 1,
        messages: 0,
        head: null,
        answering: false,
        ...over,
    };
}

export function wireMessage(id: string, role: 'user' | 'assistant', content: string, over: Partial<WireMessage> = {}): WireMessage {
    return {
        id,
        role,
        content,
        created: 1,
        status: 'complete',
        model: role === 'user' ? null : 'm',
        finish_reason: role === 'user' ? null : 'stop',
        usage: null,
        siblings: [id],
        ...over,
    };
}

export class FakeSessions implements SessionsApi {
    sessions: WireSession[] = [];
    histories = new Map<string, WireMessage[]>();
    removed: string[] = [];
    lists: [string, string | undefined][] = [];
    page = 3;
    failure: FailureKind | null = null;
    private made = 0;

    private check(): void {
        if (this.failure) throw new ApiError({ kind: this.failure, detail: '', wait_s: 0 });
    }
    private get(id: string): WireSession {
        this.check();
        const found = this.sessions.find((one) => one.id === id);
        if (!found) throw new ApiError({ kind: 'lost', detail: '', wait_s: 0 });
        return found;
    }
    private set(id: string, over: Partial<WireSession>): WireSession {
        const next = { ...this.get(id), ...over };
        this.sessions = this.sessions.map((one) => (one.id === id ? next : one));
        return next;
    }

    list = async (find: string, after?: string): Promise<Page<WireSession>> => {
        this.check();
        this.lists.push([find, after]);
        const found = this.sessions.filter((one) => one.title.includes(find));
        const from = after ? found.findIndex((one) => one.id === after) + 1 : 0;
        return Promise.resolve({ data: found.slice(from, from + this.page), has_more: found.length > from + this.page });
    };
    create = async (fields: SessionFields): Promise<WireSession> => {
        this.check();
        const session = wireSession(`sess_${++this.made}`, fields as Partial<WireSession>);
        this.sessions = [session, ...this.sessions];
        this.histories.set(session.id, []);
        return Promise.resolve(session);
    };
    change = async (id: string, fields: SessionFields): Promise<WireSession> =>
        Promise.resolve(this.set(id, fields as Partial<WireSession>));
    remove = async (id: string): Promise<void> => {
        this.get(id);
        this.removed.push(id);
        this.sessions = this.sessions.filter((one) => one.id !== id);
        return Promise.resolve();
    };
    history = async (id: string, before?: string): Promise<HistoryPage> => {
        const session = this.get(id);
        const all = this.histories.get(id) ?? [];
        const end = before ? all.findIndex((one) => one.id === before) : all.length;
        const start = Math.max(0, end - this.page);
        return Promise.resolve({ session, data: all.slice(start, end), has_more: start > 0 });
    };
    rollback = async (id: string, count: number): Promise<WireSession> => {
        this.histories.set(id, (this.histories.get(id) ?? []).slice(0, -count));
        return Promise.resolve(this.get(id));
    };
    branch = async (id: string): Promise<WireSession> => Promise.resolve(this.get(id));
    file = async (): Promise<Blob> => Promise.resolve(new Blob());
}
