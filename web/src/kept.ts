/** What this browser keeps for the page. A browser that keeps nothing is no reason to fail. */
export function kept(name: string): string | null {
    try {
        return localStorage.getItem(`dunlin.${name}`);
    } catch {
        return null;
    }
}

export function keep(name: string, value: string | null): void {
    try {
        if (value === null) localStorage.removeItem(`dunlin.${name}`);
        else localStorage.setItem(`dunlin.${name}`, value);
    } catch {
        // Then it holds until the page is closed.
    }
}
