import { ApiError } from '../api/errors';
import { listModels, type Model } from '../api/models';

const POLL_SOON_MS = 800; // while something is about to change
const POLL_LATE_MS = 4000; // while the server is away

/** The listed models, and whether the server is there. */
export class Models {
    list = $state.raw<Model[]>([]);
    reachable = $state(true);
    private timer: ReturnType<typeof setTimeout> | undefined;

    constructor(private readonly fetchModels: () => Promise<Model[]> = listModels) {}

    /** The model of that id; without one, the server's default. */
    find(id: string | null): Model | undefined {
        return id ? this.list.find((model) => model.id === id) : this.list[0];
    }

    /** Looks now, and again for as long as `active()` holds, a model loads or the server is away. */
    async refresh(active: () => boolean = () => false): Promise<void> {
        clearTimeout(this.timer);
        try {
            this.list = await this.fetchModels();
            this.reachable = true;
        } catch (thrown) {
            this.reachable = thrown instanceof ApiError; // it answers, if only with a refusal
        }
        clearTimeout(this.timer);
        const soon = active() || this.list.some((model) => model.state === 'loading');
        if (!soon && this.reachable) return;
        const wait = this.reachable ? POLL_SOON_MS : POLL_LATE_MS;
        this.timer = setTimeout(() => void this.refresh(active), wait);
    }
}
