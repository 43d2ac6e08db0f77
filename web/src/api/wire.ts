// What the server says and is told, as API.md and docs/formats/websocket.md have it.

export interface Parameters {
    temperature?: number;
    top_p?: number;
    max_tokens?: number;
    seed?: number;
    [other: string]: unknown; // kept as they are
}

export interface WireSession {
    id: string;
    title: string;
    model: string | null;
    system: string | null;
    parameters: Parameters;
    created: number;
    updated: number; // both in Unix seconds
    messages: number;
    head: string | null;
    answering: boolean;
}

export interface Usage {
    prompt_tokens: number;
    completion_tokens: number;
}

export interface WireMessage {
    id: string;
    role: 'user' | 'assistant';
    content: string;
    created: number;
    status: 'complete' | 'writing' | 'interrupted' | 'cancelled' | 'failed';
    model: string | null;
    finish_reason: string | null;
    usage: Usage | null;
    siblings: string[];
}

export interface Page<Item> {
    data: Item[];
    has_more: boolean;
}

export interface HistoryPage extends Page<WireMessage> {
    session: WireSession;
}

/** What the page says on the socket; the connection gives each an `id`. */
export type Ask =
    | { type: 'chat'; session_id: string; message: string }
    | { type: 'regenerate'; session_id: string; message_id?: string }
    | { type: 'edit'; session_id: string; message_id: string; message: string }
    | { type: 'resume'; session_id: string; after: number };

export interface StartEvent {
    type: 'start';
    session_id: string;
    message_id: string;
    user_message_id: string;
    model: string;
    omitted_messages: number;
    truncated_characters: number;
    resumed: boolean;
}

export interface DoneEvent {
    type: 'done';
    seq: number;
    finish_reason: string;
    usage: Usage;
    timings: { decode_ms: number };
    saved: boolean;
}

/** `error` is the object of REST errors. */
export interface ErrorEvent {
    type: 'error';
    error: unknown;
    retry_after_s?: number;
}

/** What comes for one id. */
export type AnswerEvent =
    | { type: 'queued'; position: number; eta_ms: number | null }
    | StartEvent
    | { type: 'token'; seq: number; text: string }
    | DoneEvent
    | ErrorEvent;

export type ServerMessage = (AnswerEvent | { type: 'authenticated' } | { type: 'pong' }) & { id: string | null };

/** A text frame as a message, or null for what is none: a newer server may say more than is known. */
export function readServerMessage(text: string): ServerMessage | null {
    try {
        const value: unknown = JSON.parse(text);
        const type: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'type') : null;
        return typeof type === 'string' ? (value as ServerMessage) : null;
    } catch {
        return null;
    }
}
