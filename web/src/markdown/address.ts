const SCHEMES = new Set(['http:', 'https:', 'mailto:']);

/**
 * The address that a link or an image of an answer may open, or null: of the web or of mail, and
 * whole, for an answer has no place that "../x" could start from.
 */
export function safeAddress(written: string): string | null {
    let url: URL;
    try {
        url = new URL(written);
    } catch {
        return null;
    }
    return SCHEMES.has(url.protocol) ? url.href : null;
}

/** What names the other side: the host, or who gets the mail. */
export function addressee(address: string): string {
    const url = new URL(address);
    return url.protocol === 'mailto:' ? url.pathname : url.host;
}
