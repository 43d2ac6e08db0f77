/** What went wrong, as far as a person can do something about it. `detail` is the server's own word. */
export type FailureKind =
    | 'gone' // no answer at all: the server is not there
    | 'cut' // the connection broke in mid-answer
    | 'busy' // the same request may succeed after `wait_s`
    | 'too_long'
    | 'not_ready' // not downloaded, or shutting down
    | 'no_model'
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
    ['model_not_found', 'no_model'],
    ['not_ready', 'not_ready'],
    ['rate_limit_exceeded', 'busy'],
    ['overloaded', 'busy'],
    ['no_room', 'busy'],
    ['forbidden', 'forbidden'],
    [403, 'forbidden'],
    [413, 'too_long'],
    [429, 'busy'],
    [503, 'busy'],
]);

function field(value: unknown, name: string): unknown {
    return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function text(value: unknown): string {
    return typeof value === 'string' ? value : '';
}

/** From an error body of OpenAI's shape, or of any other; `status` is 0 inside a stream. */
export function failureFrom(body: unknown, status: number, retryAfter: string | null): Failure {
    const error = field(body, 'error');
    const kind = KINDS.get(text(field(error, 'code'))) ?? KINDS.get(status) ?? 'other';
    const wait = Number(retryAfter ?? 'none');
    return {
        kind,
        detail: text(field(error, 'message')) || (status > 0 ? `HTTP ${status}` : ''),
        wait_s: kind === 'busy' ? Math.min(Math.max(Number.isFinite(wait) ? wait : 1, 1), WAIT_S_MAX) : 0,
    };
}

/** The error of a response that is not 2xx. */
export async function errorOf(response: Response): Promise<ApiError> {
    const body: unknown = await response.json().catch(() => undefined);
    return new ApiError(failureFrom(body, response.status, response.headers.get('retry-after')));
}

/** For anything that was thrown on the way: fetch() and broken bodies throw TypeError. */
export function failureOf(thrown: unknown, began: boolean): Failure {
    if (thrown instanceof ApiError) return thrown.failure;
    return { kind: began ? 'cut' : 'gone', detail: '', wait_s: 0 };
}
