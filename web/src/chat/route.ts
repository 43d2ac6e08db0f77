const CHARACTERS_MAX = 300;

/** The session that an address shows, `#/s/<id>`; null is a new chat. */
export function sessionOf(hash: string): string | null {
    const written = /^#\/s\/([^/]+)$/.exec(hash)?.[1];
    if (!written || written.length > CHARACTERS_MAX) return null;
    try {
        return decodeURIComponent(written);
    } catch {
        return null;
    }
}

export function hashOf(session: string | null): string {
    return session === null ? '#/' : `#/s/${encodeURIComponent(session)}`;
}
