import { errorOf, failureOf } from './errors';
import { apiKey } from './key.svelte';

interface Options {
    body?: object;
    signal?: AbortSignal;
    keepalive?: boolean; // goes out even while the page is being left
}

/** A request with the key, if there is one. Throws ApiError, AbortError or what fetch() throws. */
export async function request(method: string, path: string, options: Options = {}): Promise<Response> {
    const headers: Record<string, string> = {};
    if (options.body) headers['Content-Type'] = 'application/json';
    const used = apiKey.value;
    if (used !== '') headers.Authorization = `Bearer ${used}`;
    const response = await fetch(path, {
        method,
        headers,
        ...(options.body ? { body: JSON.stringify(options.body) } : {}),
        ...(options.signal ? { signal: options.signal } : {}),
        ...(options.keepalive ? { keepalive: true } : {}),
    });
    if (response.ok) return response;
    const error = await errorOf(response);
    // Not for an answer to a key that was replaced meanwhile.
    if (failureOf(error).kind === 'key' && used === apiKey.value) apiKey.wanted = true;
    throw error;
}

export async function requestJson<T>(method: string, path: string, options: Options = {}): Promise<T> {
    return (await (await request(method, path, options)).json()) as T;
}
