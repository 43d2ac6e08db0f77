/** The session that an address shows, `#/s/<id>`; null is a new chat. */
export function sessionOf(hash: string): string | null {
    return /^#\/s\/([\w-]{1,80})$/.exec(hash)?.[1] ?? null;
}

export function hashOf(session: string | null): string {
    return session === null ? '#/' : `#/s/${session}`;
}
