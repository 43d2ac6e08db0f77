import { request, requestJson } from './rest';
import type { HistoryPage, Page, Parameters, WireSession } from './wire';

export const LIST_PAGE = 50;
export const HISTORY_PAGE = 50;

/** What may be set; null takes a value away. */
export interface SessionFields {
    title?: string | null;
    model?: string | null;
    system?: string | null;
    parameters?: Parameters | null;
}

const session = (id: string) => `/sessions/${encodeURIComponent(id)}`;
const history = (id: string) => `/chat/history/${encodeURIComponent(id)}`;

function query(fields: Record<string, string | number | undefined>): string {
    const out = new URLSearchParams();
    for (const [name, value] of Object.entries(fields))
        if (value !== undefined && value !== '') out.set(name, String(value));
    return out.size > 0 ? `?${out}` : '';
}

/** The sessions of the server. All throw as request() does. */
export const sessions = {
    list: (find: string, after?: string, signal?: AbortSignal) =>
        requestJson<Page<WireSession>>(
            'GET',
            `/sessions${query({ query: find, limit: LIST_PAGE, after })}`,
            signal ? { signal } : {},
        ),
    create: (fields: SessionFields) => requestJson<WireSession>('POST', '/v1/sessions', { body: fields }),
    change: (id: string, fields: SessionFields) => requestJson<WireSession>('PATCH', session(id), { body: fields }),
    remove: async (id: string): Promise<void> => void (await request('DELETE', session(id), { keepalive: true })),
    history: (id: string, before?: string) =>
        requestJson<HistoryPage>('GET', history(id) + query({ limit: HISTORY_PAGE, before })),
    rollback: (id: string, count: number) =>
        requestJson<WireSession>('POST', `${history(id)}/rollback`, { body: { count } }),
    branch: (id: string, message: string) =>
        requestJson<WireSession>('POST', `${history(id)}/branch`, { body: { message_id: message } }),
    file: async (id: string): Promise<Blob> => (await request('GET', `${history(id)}?format=markdown`)).blob(),
};

export type SessionsApi = typeof sessions;
