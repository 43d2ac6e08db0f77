import { en, type Texts } from './en';
import { zh } from './zh';

const TEXTS = { en, zh } satisfies Record<string, Texts>;
export type Language = keyof typeof TEXTS;
const KEY = 'dunlin.language';

function isLanguage(value: string | null): value is Language {
    return value !== null && value in TEXTS;
}

/** The first language of the browser that there are texts for. */
export function pickLanguage(kept: string | null, preferred: readonly string[]): Language {
    if (isLanguage(kept)) return kept;
    for (const tag of preferred) {
        const language = tag.toLowerCase().split('-')[0] ?? '';
        if (isLanguage(language)) return language;
    }
    return 'en';
}

function kept(): string | null {
    try {
        return localStorage.getItem(KEY);
    } catch {
        return null; // a browser that keeps nothing
    }
}

class Chosen {
    language = $state<Language>(pickLanguage(kept(), navigator.languages));

    get texts(): Texts {
        return TEXTS[this.language];
    }

    choose(language: Language): void {
        this.language = language;
        try {
            localStorage.setItem(KEY, language);
        } catch {
            // Then it holds until the page is closed.
        }
    }
}

export const chosen = new Chosen();
export const languages = Object.entries(TEXTS).map(([id, texts]) => ({
    id: id as Language,
    name: texts.language,
}));
