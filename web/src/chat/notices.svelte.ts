import type { Failure } from '../api/errors';

const SHOWN_MS = 12_000;

/** Messages that somebody took off the shown branch, and the way back. */
export interface Hidden {
    count: number;
    restore: () => void;
}

/** For a while: the last thing that went wrong outside of an answer, and what was hidden last. */
class Notices {
    failure = $state.raw<Failure | null>(null);
    hidden = $state.raw<Hidden | null>(null);
    private timer: ReturnType<typeof setTimeout> | undefined;
    private hiddenTimer: ReturnType<typeof setTimeout> | undefined;

    offer(hidden: Hidden): void {
        this.forget();
        this.hidden = hidden;
        this.hiddenTimer = setTimeout(() => this.forget(), SHOWN_MS);
    }
    forget(): void {
        clearTimeout(this.hiddenTimer);
        this.hidden = null;
    }

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
