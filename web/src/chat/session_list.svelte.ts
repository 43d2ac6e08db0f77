import { failureOf, type Failure } from '../api/errors';
import { sessions, type SessionsApi } from '../api/sessions';
import type { WireSession } from '../api/wire';
import { notices } from './notices.svelte';

const SEARCH_WAIT_MS = 250;
export const UNDO_MS = 10_000;

/** The sidebar's sessions: pages of what the server has, or of what it finds. */
export class SessionList {
    query = $state('');
    loading = $state(true);
    more = $state(false); // there are older ones
    failure = $state.raw<Failure | null>(null);
    /** Hidden, and deleted for good a little later. */
    leaving = $state.raw<WireSession | null>(null);
    private items = $state.raw<WireSession[]>([]);
    private shownQuery = ''; // what `items` are for
    private searching: AbortController | null = null;
    private searchTimer: ReturnType<typeof setTimeout> | undefined;
    private deleteTimer: ReturnType<typeof setTimeout> | undefined;

    constructor(private readonly api: SessionsApi = sessions) {}

    get shown(): WireSession[] {
        const hidden = this.leaving?.id;
        return hidden ? this.items.filter((session) => session.id !== hidden) : this.items;
    }

    find(id: string | null): WireSession | undefined {
        return this.items.find((session) => session.id === id);
    }

    /** The newest page again; what was loaded of older ones stays. */
    async refresh(): Promise<void> {
        this.searching?.abort();
        const searching = new AbortController();
        this.searching = searching;
        const { query } = this;
        this.loading = true;
        try {
            const page = await this.api.list(query.trim(), undefined, searching.signal);
            const last = page.data.at(-1);
            const kept = query === this.shownQuery && page.has_more && last ? this.olderThan(last, page.data) : [];
            this.items = [...page.data, ...kept];
            this.shownQuery = query;
            if (kept.length === 0) this.more = page.has_more;
            this.failure = null;
        } catch (thrown) {
            if (searching.signal.aborted) return; // a newer one is on its way
            this.failure = failureOf(thrown);
        }
        this.loading = false;
    }

    private olderThan(last: WireSession, page: WireSession[]): WireSession[] {
        const known = new Set(page.map((session) => session.id));
        return this.items.filter((session) => session.updated <= last.updated && !known.has(session.id));
    }

    /** Looks for it once nobody has typed for a moment. */
    search(query: string): void {
        this.query = query;
        clearTimeout(this.searchTimer);
        this.searchTimer = setTimeout(() => void this.refresh(), SEARCH_WAIT_MS);
    }

    async loadMore(): Promise<void> {
        const last = this.items.at(-1);
        if (this.loading || !this.more || !last) return;
        this.loading = true;
        const query = this.shownQuery;
        try {
            const page = await this.api.list(query.trim(), last.id);
            if (query !== this.shownQuery) return;
            const known = new Set(this.items.map((session) => session.id));
            this.items = [...this.items, ...page.data.filter((session) => !known.has(session.id))];
            this.more = page.has_more;
        } catch (thrown) {
            notices.say(failureOf(thrown));
        }
        this.loading = false;
    }

    /** Shows what is known to have changed, before the server is asked. */
    put(session: WireSession): void {
        this.items = this.items.map((one) => (one.id === session.id ? session : one));
    }

    async rename(session: WireSession, title: string): Promise<void> {
        const wanted = title.trim();
        if (wanted === '' || wanted === session.title) return;
        this.put({ ...session, title: wanted });
        try {
            this.put(await this.api.change(session.id, { title: wanted }));
        } catch (thrown) {
            this.put(session);
            notices.say(failureOf(thrown));
        }
    }

    /** Hides it at once, and deletes it when the time for undo() is over. */
    remove(session: WireSession): void {
        this.flush();
        this.leaving = session;
        this.resume();
    }

    /** The time for undo() stands still, while somebody is about to. */
    hold(): void {
        clearTimeout(this.deleteTimer);
    }
    resume(): void {
        this.hold();
        if (this.leaving) this.deleteTimer = setTimeout(() => this.flush(), UNDO_MS);
    }

    undo(): void {
        this.hold();
        this.leaving = null;
    }

    /** Deletes what waits for it, now: the page may be on its way out. */
    flush(): void {
        const session = this.leaving;
        if (!session) return;
        this.undo();
        const before = this.items;
        this.items = before.filter((one) => one.id !== session.id);
        this.api.remove(session.id).catch((thrown: unknown) => {
            const failure = failureOf(thrown);
            if (failure.kind === 'lost') return; // somebody else was faster
            this.items = before;
            notices.say(failure);
        });
    }
}
