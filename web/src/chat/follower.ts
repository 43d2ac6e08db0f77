// Follows one answer to its end, over as many connections as that takes. Three things can be true
// when a connection breaks: the question was never sent, it was sent and nobody knows whether it
// was stored, or the answer had begun. Then, in turn: it is sent as soon as there is a connection,
// or has failed if there comes none; it is asked for, and the history decides; it is resumed after
// the last event that was seen.
import { failureFrom, type Failure } from '../api/errors';
import type { AnswerEvent, Ask, DoneEvent, StartEvent } from '../api/wire';
import type { Connection, Listener } from './connection.svelte';
import { speeds, type Answer } from './message';

export interface FollowerEvents {
    /** The question is stored, the answer has begun. */
    started(event: StartEvent): void;
    /** The answer is over; what came of it stands in the Answer. */
    ended(): void;
    /** Nothing was stored. */
    refused(failure: Failure): void;
    /** The server has no such answer under way (any more): its history says what became of it. */
    vanished(begun: boolean): void;
}

export class Follower implements Listener {
    private id: string | null = null;
    private sent = false;
    private resuming = false; // asked to, and not yet heard
    private stopping = false;
    private seq = 0;
    private replay: string | null = null; // text from the beginning, until it overtakes what is shown

    /** `begun`: the answer is under way already, and part of its text may be there. */
    constructor(
        private readonly connection: Connection,
        private readonly answer: Answer,
        private readonly ask: Ask,
        private readonly events: FollowerEvents,
        private begun = false,
    ) {}

    begin(): void {
        this.say(this.ask);
    }

    /** The text so far stays. Done once the server says so. */
    stop(): void {
        this.stopping = true;
        if (this.id !== null) this.connection.stop(this.id);
        else if (!this.sent) this.refuse({ kind: 'unsent', detail: '', wait_s: 0 });
    }

    receive(event: AnswerEvent): void {
        switch (event.type) {
            case 'queued':
                this.answer.place = {
                    position: event.position,
                    eta_s: event.eta_ms === null ? null : Math.ceil(event.eta_ms / 1000),
                };
                return;
            case 'start':
                return this.start(event);
            case 'token':
                if (event.seq <= this.seq) return;
                this.seq = event.seq;
                return this.append(event.text);
            case 'done':
                return this.done(event);
            case 'error':
                return this.fail(failureFrom(event.error, 0, event.retry_after_s));
        }
    }

    lost({ tooLarge }: { tooLarge: boolean }): void {
        this.id = null;
        if (!this.sent) return this.refuse({ kind: 'gone', detail: '', wait_s: 0 });
        if (tooLarge && !this.begun) return this.refuse({ kind: 'too_long', detail: '', wait_s: 0 });
        this.answer.place = null;
        this.answer.paused = true;
    }

    reopened(): void {
        if (!this.sent) return this.say(this.ask);
        this.say({ type: 'resume', session_id: this.ask.session_id, after: this.seq });
    }

    private say(ask: Ask): void {
        this.id = this.connection.ask(ask, this);
        if (this.id === null) return;
        this.sent = true;
        this.resuming = ask.type === 'resume';
        if (this.resuming && this.seq === 0) this.replay = '';
        if (this.stopping) this.connection.stop(this.id);
    }

    private start(event: StartEvent): void {
        this.begun = true;
        this.resuming = false;
        this.answer.paused = false;
        this.answer.place = null;
        this.answer.model = event.model;
        this.answer.omitted = event.omitted_messages;
        this.answer.cut = event.truncated_characters;
        this.events.started(event);
    }

    private append(text: string): void {
        this.answer.state = 'streaming';
        if (this.replay === null) {
            this.answer.text += text;
            return;
        }
        this.replay += text;
        if (this.replay.length < this.answer.text.length) return;
        this.answer.text = this.replay;
        this.replay = null;
    }

    private done(event: DoneEvent): void {
        const reason = event.finish_reason;
        this.answer.state = reason === 'length' ? 'length' : reason === 'cancelled' ? 'stopped' : 'done';
        const tokens = event.usage.completion_tokens;
        const seconds = event.timings.decode_ms / 1000;
        this.answer.tokens = tokens;
        if (tokens > 1 && seconds > 0) {
            this.answer.tokensPerSecond = (tokens - 1) / seconds;
            speeds.set(this.answer.id, this.answer.tokensPerSecond);
        }
        this.answer.unsaved = !event.saved;
        this.end();
    }

    private fail(failure: Failure): void {
        if (this.resuming) {
            this.connection.leave(this);
            this.events.vanished(this.begun);
            return;
        }
        if (!this.begun) return this.refuse(failure);
        this.answer.state = 'failed';
        this.answer.failure = failure;
        this.end();
    }

    private end(): void {
        this.answer.paused = false;
        this.connection.leave(this);
        this.events.ended();
    }

    private refuse(failure: Failure): void {
        this.connection.leave(this);
        this.answer.state = 'failed';
        this.answer.failure = failure;
        this.answer.place = null;
        this.answer.paused = false;
        this.events.refused(failure);
    }
}
