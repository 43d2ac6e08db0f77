import { failureOf, type Failure } from '../api/errors';
import { sessions, type SessionFields, type SessionsApi } from '../api/sessions';
import type { Ask, HistoryPage, Parameters, StartEvent, WireSession } from '../api/wire';
import type { Connection } from './connection.svelte';
import { drafts } from './drafts';
import { Follower } from './follower';
import { fromWire, isOpen, merged, newAnswer, newQuestion, type Answer, type Message, type Question } from './message';
import { notices } from './notices.svelte';

/** Calmer than the API's plain draw, which leads small models astray and in circles. */
export const FIRST_PARAMETERS: Parameters = { temperature: 0.6, top_p: 0.9, repetition_penalty: 1.1 };
const AGAIN_MS = 2000;
const PAGES_MAX = 80; // of a branch that is looked through for one message

export interface ConversationEvents {
    /** It has a session now, or none any more. */
    moved(conversation: Conversation): void;
    /** What the list shows of it may have changed. */
    changed(conversation: Conversation): void;
}

/** A request for an answer that may be tried again, or taken back. */
interface Attempt {
    what: 'chat' | 'regenerate' | 'edit';
    text: string;
    message: string | null; // which is answered again, or edited
    before: Message[]; // what was shown
}

/** One session as the page shows it: the end of its shown branch, and the answer under way. */
export class Conversation {
    session = $state.raw<WireSession | null>(null);
    messages = $state<Message[]>([]);
    more = $state(false); // there are older messages
    loading = $state<'all' | 'older' | null>(null);
    failure = $state.raw<Failure | null>(null); // of loading
    /** What a new chat will be made with. */
    plans = $state.raw<{ model: string | null; system: string | null; parameters: Parameters }>({
        model: null,
        system: null,
        parameters: FIRST_PARAMETERS,
    });
    attempt = $state.raw<Attempt | null>(null); // that failed before anything was stored
    private follower = $state.raw<Follower | null>(null);
    private starting = $state(false); // the session is being made
    private fresh = false; // it was made here, and nothing was said in it yet

    constructor(
        public id: string | null,
        private readonly connection: Connection,
        private readonly events: ConversationEvents,
        private readonly api: SessionsApi = sessions,
    ) {}

    get answering(): boolean {
        return this.follower !== null || this.starting;
    }
    get answer(): Answer | null {
        const last = this.messages.at(-1);
        return last?.role === 'assistant' ? last : null;
    }
    get model(): string | null {
        return (this.session ? this.session.model : this.plans.model) || null;
    }
    get system(): string {
        return (this.session ? this.session.system : this.plans.system) ?? '';
    }
    get parameters(): Parameters {
        return (this.session ? this.session.parameters : this.plans.parameters) ?? {};
    }

    /** The end of the history, and the answer under way if there is one. */
    async load(): Promise<void> {
        if (this.id === null || this.answering) return;
        this.loading = 'all';
        try {
            await this.fetchEnd();
            this.failure = null;
        } catch (thrown) {
            this.failure = failureOf(thrown);
        }
        this.loading = null;
    }

    private async fetchEnd(): Promise<void> {
        if (this.id === null) return;
        const page = await this.api.history(this.id);
        if (this.answering) return; // a question was faster
        this.take(page);
        this.attempt = null;
        if (page.session.answering) this.resume();
    }

    private take(page: HistoryPage): void {
        const older = this.messages.length;
        this.messages = merged(this.messages, page.data);
        // Where older ones were loaded before, it is known whether there are more.
        if (older === 0 || this.messages.length === page.data.length) this.more = page.has_more;
        this.session = page.session;
    }

    /** What the list knows of it. */
    know(session: WireSession): void {
        if (this.id === session.id && this.session) this.session = session;
    }

    private resume(): void {
        if (this.id === null) return;
        if (!isOpen(this.messages.at(-1))) this.messages.push(newAnswer()); // its place is not told yet
        this.follow({ type: 'resume', session_id: this.id, after: 0 }, true);
    }

    async loadOlder(): Promise<void> {
        const first = this.messages[0];
        if (!this.id || !first?.id || !this.more || this.loading) return;
        this.loading = 'older';
        try {
            const page = await this.api.history(this.id, first.id);
            if (this.messages[0]?.key === first.key) {
                this.messages = [...page.data.map(fromWire), ...this.messages];
                this.more = page.has_more;
            }
        } catch (thrown) {
            notices.say(failureOf(thrown));
        }
        this.loading = null;
    }

    /** Whether the question was taken. */
    send(text: string): boolean {
        if (text.trim() === '' || this.answering || this.loading === 'all') return false;
        this.discard();
        void this.run({ what: 'chat', text, message: null, before: [...this.messages] });
        return true;
    }

    /** Another answer in place of this one, or the first to a question that has none. */
    regenerate(message: Message): void {
        if (this.answering) return;
        this.discard();
        void this.run({ what: 'regenerate', text: '', message: message.id, before: [...this.messages] });
    }

    edit(question: Question, text: string): void {
        if (this.answering || text.trim() === '') return;
        this.discard();
        void this.run({ what: 'edit', text, message: question.id, before: [...this.messages] });
    }

    retry(): void {
        const attempt = this.attempt;
        if (this.answering) return;
        if (attempt) {
            this.discard();
            void this.run({ ...attempt, before: [...this.messages] });
        } else if (this.answer) {
            this.regenerate(this.answer);
        }
    }

    /** Takes a failed attempt off the page; returns the text that was not sent. */
    discard(): string {
        const attempt = this.attempt;
        if (!attempt) return '';
        this.attempt = null;
        this.messages = attempt.before;
        return attempt.text;
    }

    stop(): void {
        this.follower?.stop();
    }

    private async run(attempt: Attempt): Promise<void> {
        notices.forget();
        this.place(attempt);
        if (this.id === null && !(await this.create(attempt))) return;
        const session_id = this.id as string;
        if (attempt.what === 'chat') this.follow({ type: 'chat', session_id, message: attempt.text }, false, attempt);
        else if (attempt.message === null) return;
        else if (attempt.what === 'edit')
            this.follow({ type: 'edit', session_id, message_id: attempt.message, message: attempt.text }, false, attempt);
        else this.follow({ type: 'regenerate', session_id, message_id: attempt.message }, false, attempt);
    }

    /** Shows what is asked, at its place. */
    private place({ what, text, message }: Attempt): void {
        const at = this.messages.findIndex((one) => one.id === message);
        const old = this.messages[at];
        if (what === 'chat') {
            this.messages.push(newQuestion(text), newAnswer());
        } else if (what === 'edit') {
            this.messages.splice(at, this.messages.length, newQuestion(text, old?.siblings), newAnswer());
        } else if (old?.role === 'user') {
            this.messages.splice(at + 1, this.messages.length, newAnswer());
        } else {
            this.messages.splice(at, this.messages.length, newAnswer(old?.siblings));
        }
    }

    private async create(attempt: Attempt): Promise<boolean> {
        this.starting = true;
        const { model, system, parameters } = this.plans;
        try {
            this.session = await this.api.create({
                ...(model ? { model } : {}),
                ...(system ? { system } : {}),
                parameters,
            });
        } catch (thrown) {
            this.fail(attempt, failureOf(thrown));
            return false;
        } finally {
            this.starting = false;
        }
        this.id = this.session.id;
        this.fresh = true;
        this.events.moved(this);
        return true;
    }

    private follow(ask: Ask, begun: boolean, attempt?: Attempt): void {
        const answer = this.answer; // the proxy, so that changes show
        if (!answer) return;
        this.follower = new Follower(this.connection, answer, ask, {
            started: (event) => this.started(event),
            ended: () => this.over(),
            refused: (failure) => {
                this.follower = null;
                if (attempt) this.fail(attempt, failure);
                else void this.settle();
            },
            vanished: (was) => void this.settle(was ? undefined : attempt),
        }, begun);
        this.follower.begin();
    }

    private started(event: StartEvent): void {
        const question = this.messages.at(-2);
        const answer = this.answer;
        if (!answer) return;
        this.fresh = false;
        if (question?.id === null && drafts.of(this.id) === question.text) drafts.set(this.id, '');
        if (event.resumed && question?.id !== null && question?.id !== event.user_message_id) {
            void this.catchUp(event); // this page knows nothing of that question
            return;
        }
        for (const [message, id] of [[question, event.user_message_id], [answer, event.message_id]] as const)
            if (message && message.id === null) {
                message.id = id;
                if (!message.siblings.includes(id)) message.siblings.push(id);
            }
        this.events.changed(this);
    }

    /** The messages above an answer that another page asked for. */
    private async catchUp(event: StartEvent): Promise<void> {
        if (this.id === null) return;
        const answer = this.answer;
        try {
            const page = await this.api.history(this.id);
            if (this.answer !== answer || !answer) return;
            const found = page.data.map(fromWire);
            const own = found.findIndex((message) => message.id === event.message_id);
            answer.id = event.message_id;
            answer.siblings = found[own]?.siblings ?? [event.message_id];
            this.messages.splice(0, this.messages.length - 1, ...(own < 0 ? found : found.slice(0, own)));
            this.session = page.session;
            this.more = page.has_more;
        } catch {
            // The answer is shown all the same.
        }
    }

    private over(): void {
        this.follower = null;
        if (this.session) this.session = { ...this.session, answering: false };
        this.events.changed(this);
    }

    /** Takes the history's word for what became of an answer. `attempt`: it may not be there at all. */
    private async settle(attempt?: Attempt): Promise<void> {
        const known = new Set(this.messages.map((message) => message.id));
        try {
            const page = await this.api.history(this.id as string);
            this.follower = null;
            const head = page.data.at(-1)?.id ?? null;
            if (attempt && (head === null || known.has(head) || attempt.before.some((one) => one.id === head)))
                return this.fail(attempt, { kind: 'unsent', detail: '', wait_s: 0 });
            this.take(page);
            if (page.session.answering) setTimeout(() => void this.load(), AGAIN_MS);
            this.events.changed(this);
        } catch (thrown) {
            this.follower = null;
            const failure = failureOf(thrown);
            if (attempt) return this.fail(attempt, failure);
            const { answer } = this;
            if (answer) {
                answer.state = 'failed';
                answer.paused = false;
                answer.failure = failure;
            }
        }
    }

    private fail(attempt: Attempt, failure: Failure): void {
        const { answer } = this;
        if (answer) {
            answer.state = 'failed';
            answer.failure = failure;
            answer.paused = false;
        }
        this.attempt = attempt;
        // Nothing typed is lost, not even by a reload.
        if (attempt.what === 'chat' && drafts.of(this.id) === '') drafts.set(this.id, attempt.text);
    }

    /** Nobody will say anything in here any more: what was made for nothing goes. */
    leave(): void {
        if (this.fresh && !this.answering && this.id !== null) this.api.remove(this.id).catch(() => undefined);
    }

    /** Shows the branch through a message. */
    async show(message: string): Promise<void> {
        if (this.answering || this.id === null) return;
        try {
            this.discard();
            await this.api.branch(this.id, message);
            await this.fetchEnd();
            for (let i = 0; i < PAGES_MAX && this.more && !this.messages.some((one) => one.id === message); ++i)
                await this.loadOlder();
        } catch (thrown) {
            notices.say(failureOf(thrown));
        }
    }

    /** How many messages are below this one on the shown branch. */
    below(message: Message): number {
        return this.messages.length - 1 - this.messages.findIndex((one) => one.key === message.key);
    }

    /** Takes what is below this message off the shown branch. */
    async backTo(message: Message): Promise<void> {
        this.discard();
        const count = this.below(message);
        const end = this.messages.at(-1)?.id;
        if (this.answering || this.id === null || count === 0) return;
        try {
            this.session = await this.api.rollback(this.id, count);
            this.messages = this.messages.slice(0, this.messages.length - count);
            if (end) notices.offer({ count, restore: () => void this.show(end) });
            this.events.changed(this);
        } catch (thrown) {
            notices.say(failureOf(thrown));
        }
    }

    /** Changes the session, or what will be made. Whether that went well. */
    async change(fields: SessionFields): Promise<boolean> {
        if (this.id === null || !this.session) {
            const { model = this.plans.model, system = this.plans.system, parameters } = fields;
            this.plans = { model, system, parameters: parameters ?? this.plans.parameters };
            return true;
        }
        const before = this.session;
        this.session = { ...before, ...(fields as Partial<WireSession>) };
        try {
            this.session = { ...(await this.api.change(this.id, fields)), answering: before.answering };
            this.events.changed(this);
            return true;
        } catch (thrown) {
            this.session = before;
            notices.say(failureOf(thrown));
            return false;
        }
    }
}
