import type { Failure } from '../api/errors';

const SHOWN_MS = 12_000;

/** The last thing that went wrong outside of an answer, for a while. */
class Notices {
    failure = $state.raw<Failure | null>(null);
    private timer: ReturnType<typeof setTimeout> | undefined;

    say(failure: Failure): void {
        if (failure.kind === 'key') return; // that one opens a dialog
        this.failure = failure;
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.close(), SHOWN_MS);
    }
    close(): void {
        clearTimeout(this.timer);
        this.failure = null;
    }
}

export const notices = new Notices();
