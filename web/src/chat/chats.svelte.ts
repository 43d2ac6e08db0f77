import { sessions, type SessionsApi } from '../api/sessions';
import { Conversation } from './conversation.svelte';
import type { Connection } from './connection.svelte';
import { SessionList } from './session_list.svelte';

/** The conversation that is shown, and those that go on being answered behind it. */
export class Chats {
    current: Conversation;
    readonly list: SessionList;
    private readonly behind = new Map<string, Conversation>();

    /** `onmoved`: the shown conversation has another session than before. */
    constructor(
        private readonly connection: Connection,
        private readonly onmoved: (id: string | null) => void,
        private readonly api: SessionsApi = sessions,
    ) {
        this.list = new SessionList(api);
        this.current = $state.raw(this.make(null));
    }

    /** Shows a session; null: a new chat. */
    open(id: string | null): void {
        const old = this.current;
        if (id !== null && old.id === id) return;
        if (old.answering && old.id !== null) this.behind.set(old.id, old);
        else old.leave();
        const found = id === null ? undefined : this.behind.get(id);
        this.current = found ?? this.make(id);
        if (found && id !== null) this.behind.delete(id);
        else void this.current.load();
        if (id === null) this.current.plans = { ...this.current.plans, model: old.model };
    }

    /** Whether an answer of that session is under way, as far as is known here. */
    answering(id: string): boolean {
        if (this.current.id === id) return this.current.answering;
        return this.behind.has(id) || this.list.find(id)?.answering === true;
    }

    /** Looks for what other windows have done. */
    async refresh(): Promise<void> {
        const { current } = this;
        await this.list.refresh();
        const known = this.list.find(current.id);
        if (known && current === this.current && known.updated !== current.session?.updated && !current.attempt)
            await current.load();
    }

    private make(id: string | null): Conversation {
        return new Conversation(
            id,
            this.connection,
            {
                moved: (conversation) => this.moved(conversation),
                changed: (conversation) => this.changed(conversation),
            },
            this.api,
        );
    }

    private moved(conversation: Conversation): void {
        if (conversation === this.current) this.onmoved(conversation.id);
        else if (conversation.id !== null) this.behind.set(conversation.id, conversation);
        void this.list.refresh();
    }

    private changed(conversation: Conversation): void {
        if (conversation.id !== null && conversation !== this.current && !conversation.answering)
            this.behind.delete(conversation.id);
        void this.list.refresh().then(() => {
            const known = this.list.find(conversation.id);
            if (known) conversation.know(known);
        });
    }
}
