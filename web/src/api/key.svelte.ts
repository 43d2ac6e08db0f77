const NAME = 'dunlin.key';

/** Browsers that keep nothing throw. */
function stores(): Storage[] {
    try {
        return [sessionStorage, localStorage];
    } catch {
        return [];
    }
}

/** The API key, where the server wants one: kept for this tab, or on this device, as the person chose. */
class ApiKey {
    value = $state('');
    /** The server refused the last request for want of a valid key. */
    wanted = $state(false);

    constructor() {
        for (const store of stores()) this.value ||= store.getItem(NAME) ?? '';
    }

    get kept(): boolean {
        return this.value !== '' && stores()[1]?.getItem(NAME) === this.value;
    }

    use(value: string, keep: boolean): void {
        this.value = value;
        this.wanted = false;
        for (const store of stores()) store.removeItem(NAME);
        if (value !== '') stores()[keep ? 1 : 0]?.setItem(NAME, value);
    }
}

export const apiKey = new ApiKey();
