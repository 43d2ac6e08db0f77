import { ApiError, errorOf, failureFrom } from './errors';
import { sseEvents } from './sse';

export interface WireMessage {
    role: 'system' | 'user' | 'assistant';
    content: string;
}

export type ChatEvent =
    | { type: 'text'; text: string }
    | { type: 'finish'; reason: string }
    | { type: 'usage'; promptTokens: number; completionTokens: number };

interface Chunk {
    choices?: { delta?: { content?: string | null }; finish_reason?: string | null }[];
    usage?: { prompt_tokens: number; completion_tokens: number } | null;
    error?: unknown;
}

function parse(data: string): Chunk {
    try {
        return JSON.parse(data) as Chunk;
    } catch {
        throw new ApiError({ kind: 'cut', detail: '', wait_s: 0 });
    }
}

/** Calmer than the API's plain draw, which leads small models astray and in circles. */
const SAMPLING = { temperature: 0.6, top_p: 0.9, repetition_penalty: 1.1 };

/** What one frame says, in its order. Throws ApiError for an error frame. */
export function* chatEvents(data: string): Generator<ChatEvent> {
    const chunk = parse(data);
    if (chunk.error !== undefined) throw new ApiError(failureFrom(chunk, 0, null));
    const choice = chunk.choices?.[0];
    if (choice?.delta?.content) yield { type: 'text', text: choice.delta.content };
    if (choice?.finish_reason) yield { type: 'finish', reason: choice.finish_reason };
    if (chunk.usage)
        yield {
            type: 'usage',
            promptTokens: chunk.usage.prompt_tokens,
            completionTokens: chunk.usage.completion_tokens,
        };
}

/**
 * Asks for the next message and gives its parts as they come. Ends only when the server said that
 * the answer is whole; otherwise throws: ApiError, AbortError, or whatever fetch() throws.
 */
export async function* streamChat(
    model: string,
    messages: WireMessage[],
    signal: AbortSignal,
): AsyncGenerator<ChatEvent> {
    const response = await fetch('/v1/chat/completions', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({
            ...(model === '' ? {} : { model }),
            messages,
            ...SAMPLING,
            stream: true,
            stream_options: { include_usage: true },
        }),
        signal,
    });
    if (!response.ok || response.body === null) throw await errorOf(response);
    for await (const data of sseEvents(response.body)) {
        if (data === '[DONE]') return;
        yield* chatEvents(data);
    }
    throw new ApiError({ kind: 'cut', detail: '', wait_s: 0 });
}
