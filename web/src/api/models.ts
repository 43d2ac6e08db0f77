import { errorOf } from './errors';

export type ModelState = 'not_downloaded' | 'on_disk' | 'loading' | 'loaded' | 'failed';

export interface Model {
    id: string;
    state: ModelState;
    reason: string | null;
}

/** The listed models, the default first. Throws ApiError, or what fetch() throws. */
export async function listModels(): Promise<Model[]> {
    const response = await fetch('/v1/models');
    if (!response.ok) throw await errorOf(response);
    const body = (await response.json()) as { data: Model[] };
    return body.data;
}
