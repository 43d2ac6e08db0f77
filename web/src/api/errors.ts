/** What went wrong, as far as a person can do something about it. `detail` is the server's own word. */
export type FailureKind =
    | 'gone' // no answer at all: the server is not there
    | 'unsent' // the connection broke before the server had the question
    | 'busy' // the server is; the same request may succeed after `wait_s`
    | 'limited' // this person asked too often
    | 'conflict' // an answer of this chat is under way
    | 'too_long'
    | 'full' // a limit on chats or messages
    | 'disk' // the server's is full
    | 'not_ready' // not downloaded, or shutting down
    | 'no_model'
    | 'lost' // the chat or message is not there any more
    | 'key'
    | 'forbidden'
    | 'other';

export interface Failure {
    kind: FailureKind;
    detail: string;
    wait_s: number;
}

export class ApiError extends Error {
    constructor(readonly failure: Failure) {
        super(failure.detail || failure.kind);
    }
}

const WAIT_S_MAX = 3600;

// The server's code says it best, else the status does.
const KINDS = new Map<string | number, FailureKind>([
    ['context_length_exceeded', 'too_long'],
    ['string_above_max_length', 'too_long'],
    ['too_large', 'full'],
    ['disk_full', 'disk'],
    ['model_not_found', 'no_model'],
    ['not_found', 'lost'],
    ['not_ready', 'not_ready'],
    ['conflict', 'conflict'],
    ['rate_limit_exceeded', 'limited'],
    ['overloaded', 'busy'],
    ['no_room', 'busy'],
    ['invalid_api_key', 'key'],
    ['forbidden', 'forbidden'],
    [401, 'key'],
    [403, 'forbidden'],
    [404, 'lost'],
    [409, 'conflict'],
    [413, 'too_long'],
    [429, 'limited'],
    [503, 'busy'],
]);

function field(value: unknown, name: string): unknown {
    return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function text(value: unknown): string {
    return typeof value === 'string' ? value : '';
}

/** From an error object; `status` is 0 on a socket, `wait` is what the server asks for, if it does. */
export function failureFrom(error: unknown, status: number, wait: unknown): Failure {
    const kind = KINDS.get(text(field(error, 'code'))) ?? KINDS.get(status) ?? 'other';
    const given = Number(wait ?? 'none');
    const waits = kind === 'busy' || kind === 'limited';
    return {
        kind,
        detail: text(field(error, 'message')) || (status > 0 ? `HTTP ${status}` : ''),
        wait_s: waits ? Math.ceil(Math.min(Math.max(Number.isFinite(given) ? given : 1, 1), WAIT_S_MAX)) : 0,
    };
}

/** The error of a response that is not 2xx. */
export async function errorOf(response: Response): Promise<ApiError> {
    const body: unknown = await response.json().catch(() => undefined);
    return new ApiError(failureFrom(field(body, 'error'), response.status, response.headers.get('retry-after')));
}

/** For anything that was thrown on the way: fetch() and broken bodies throw TypeError. */
export function failureOf(thrown: unknown): Failure {
    if (thrown instanceof ApiError) return thrown.failure;
    return { kind: 'gone', detail: '', wait_s: 0 };
}
