import type { Failure } from '../api/errors';

/** The last thing that went wrong outside of an answer, until it is closed or the next comes. */
class Notices {
    failure = $state.raw<Failure | null>(null);

    say(failure: Failure): void {
        if (failure.kind !== 'key') this.failure = failure; // that one opens a dialog
    }
    close(): void {
        this.failure = null;
    }
}

export const notices = new Notices();
