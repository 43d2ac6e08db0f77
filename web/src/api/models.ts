import { requestJson } from './rest';

export type ModelState = 'not_downloaded' | 'on_disk' | 'loading' | 'loaded' | 'failed';

export interface Model {
    id: string;
    state: ModelState;
    reason: string | null;
}

/** The listed models, the default first. Throws as request() does. */
export async function listModels(): Promise<Model[]> {
    return (await requestJson<{ data: Model[] }>('GET', '/v1/models')).data;
}
