import { streamChat, type ChatEvent, type WireMessage } from '../api/chat';
import { failureOf } from '../api/errors';
import { history, isOpen, type Answer, type Message } from './message';

export type AskModel = (
    model: string,
    messages: WireMessage[],
    signal: AbortSignal,
) => AsyncIterable<ChatEvent>;

/** One conversation and the one answer that may be under way. Lives in the page only. */
export class Conversation {
    messages = $state<Message[]>([]);
    private current = $state<AbortController | null>(null);
    private lastId = 0;

    /** `ask` and `now` (milliseconds) are given by tests. */
    constructor(
        private readonly ask: AskModel = streamChat,
        private readonly now: () => number = () => performance.now(),
    ) {}

    get answering(): boolean {
        return this.current !== null;
    }

    get answer(): Answer | null {
        const last = this.messages.at(-1);
        return last?.role === 'assistant' ? last : null;
    }

    /** Sends a question; false when it is empty or an answer is under way. Resolves at its end. */
    async send(text: string, model: string): Promise<boolean> {
        if (text.trim() === '' || this.answering) return false;
        this.messages.push({ id: ++this.lastId, role: 'user', text });
        await this.run(model);
        return true;
    }

    /** Asks the last question once more, in place of its answer. */
    async retry(model: string): Promise<void> {
        if (this.answering || this.answer === null) return;
        this.messages.pop();
        await this.run(model);
    }

    /** Ends the answer under way; its text stays. */
    stop(): void {
        this.current?.abort();
    }

    clear(): void {
        this.stop();
        this.current = null;
        this.messages = [];
    }

    private async run(model: string): Promise<void> {
        const asked = history(this.messages);
        this.messages.push({
            id: ++this.lastId,
            role: 'assistant',
            text: '',
            state: 'waiting',
            failure: null,
            tokens: null,
            tokensPerSecond: null,
        });
        const answer = this.messages.at(-1) as Answer; // the proxy, so that changes show
        const controller = new AbortController();
        this.current = controller;
        try {
            await this.read(answer, this.ask(model, asked, controller.signal), controller.signal);
        } catch (thrown) {
            if (controller.signal.aborted) {
                answer.state = 'stopped';
            } else {
                answer.failure = failureOf(thrown, answer.state === 'streaming');
                answer.state = 'failed';
            }
        }
        if (isOpen(answer)) answer.state = controller.signal.aborted ? 'stopped' : 'done';
        if (this.current === controller) this.current = null;
    }

    private async read(
        answer: Answer,
        events: AsyncIterable<ChatEvent>,
        signal: AbortSignal,
    ): Promise<void> {
        let first = 0;
        let last = 0;
        for await (const event of events) {
            if (signal.aborted) return;
            if (event.type === 'text') {
                last = this.now();
                if (answer.state === 'waiting') first = last;
                answer.state = 'streaming';
                answer.text += event.text;
            } else if (event.type === 'finish') {
                answer.state = event.reason === 'length' ? 'length' : 'done';
            } else {
                answer.tokens = event.completionTokens;
                const seconds = (last - first) / 1000;
                if (event.completionTokens > 1 && seconds > 0)
                    answer.tokensPerSecond = (event.completionTokens - 1) / seconds;
            }
        }
    }
}
